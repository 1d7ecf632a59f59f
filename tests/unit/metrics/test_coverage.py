"""USR, feature and keyword coverage, faithfulness: by hand, and Φ's sentences one by one."""

from pathlib import Path

import numpy as np
import pytest
import spacy
import torch

from showcases.distillation import PairClassifier
from showcases.errors import ConfigError
from showcases.metrics.coverage import (
    ContentWords,
    TaggedWords,
    all_parts,
    faithfulness,
    feature_coverage,
    keyword_coverage,
    unique_sentences,
)


def test_usr_by_hand() -> None:
    # good food . | GOOD food . | nice view : 3 sentences, 2 of them different
    figure = unique_sentences([["Good food.", "GOOD  food."], [], ["Nice view"]])
    assert figure.value == pytest.approx(2 / 3) and figure.n == 3
    assert unique_sentences([[], []]).value == 0.0


def test_feature_coverage_by_hand() -> None:
    features = ["ramen", "spicy ramen", "view", "old town hall", "egg"]
    # "Spicy ramen" mentions ramen too; "views" is no "view", nor "eggs" an "egg"
    figure = feature_coverage(["Spicy ramen, nice views.", "The old town hall! The ramen.", "eggs"], features)
    assert figure.value == pytest.approx(3 / 5) and figure.n == 3 and "5 features" in figure.library
    counted = figure.statistic(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [5, 5, 5]]))
    assert counted == pytest.approx([2 / 5, 2 / 5, 0.0, 3 / 5])
    assert feature_coverage(["x"], []).note == "n/a (no features)"


def test_keyword_coverage_by_hand() -> None:
    keys = all_parts(ContentWords()(["The ramen was really good, good!", "it was.", "Nice view"]))
    assert keys == [{"ramen", "good"}, set(), {"nice", "view"}]  # "really" is a stop word of spaCy's
    figure = keyword_coverage(["Good RAMEN and good ramen.", "Anything", "view"], keys, ContentWords.name)
    assert figure.value == pytest.approx((2 / 2 + 1 / 2) / 2) and figure.n == 2 and "no tagger" in figure.library
    assert keyword_coverage(["x"], [set()], "").value is None


def test_a_pipeline_with_tags_names_the_keywords(tmp_path: Path) -> None:
    pipeline = spacy.blank("en")
    pipeline.to_disk(tmp_path / "blank")
    ruler = pipeline.add_pipe("attribute_ruler")
    tags = {"noodles": "NOUN", "soft": "ADJ", "slowly": "ADV", "ate": "VERB", "kyoto": "PROPN"}
    for word, tag in tags.items():
        ruler.add([[{"LOWER": word}]], {"POS": tag})
    ruler.add([[{"LOWER": {"NOT_IN": list(tags)}}]], {"POS": "X"})
    pipeline.to_disk(tmp_path / "tags")
    found = TaggedWords(str(tmp_path / "tags"))(["Slowly I ate soft Noodles.", "In Kyoto."])
    assert found == [
        {"nouns": {"noodles"}, "adjectives": {"soft"}, "adverbs": {"slowly"}},
        {"nouns": {"kyoto"}, "adjectives": set(), "adverbs": set()},
    ]
    assert all_parts(found) == [{"slowly", "soft", "noodles"}, {"kyoto"}]
    for name, says in (("blank", "no part-of-speech tagger"), ("missing", "neither an installed")):
        with pytest.raises(ConfigError, match=says):
            TaggedWords(str(tmp_path / name))


def test_faithfulness_is_the_share_of_sentences_that_some_photo_supports() -> None:
    random = np.random.default_rng(0)
    model = PairClassifier(4, threshold=0.6, embedding_space="toy")
    torch.nn.init.normal_(model.layer.weight, generator=torch.Generator().manual_seed(0))
    sentences = [random.normal(size=(m, 4)).astype(np.float32) / 2 for m in (3, 0, 5, 2)]
    photos = [random.normal(size=(n, 4)).astype(np.float32) / 2 for n in (2, 1, 3, 0)]  # the last has no photo
    supported = [
        any(model.score(text[None], photo[None])[0] >= 0.6 for photo in image)
        for part, image in zip(sentences, photos, strict=True)
        for text in part
    ]
    figure = faithfulness(sentences, photos, model)
    assert 0 < sum(supported) < len(supported) == 10
    assert figure.value == pytest.approx(np.mean(supported)) and figure.n == 3 and "0.6" in figure.library
    assert faithfulness([sentences[1]], [photos[1]], model).note == "n/a (no sentences)"
