"""Entity replacement: other entities, plain English, never the original text, the same for the same seed."""

import numpy as np
import pytest
import spacy

from showcases.errors import ConfigError
from showcases.generator.entities import EntityPool, is_plural, replace_entities, with_article
from showcases.generator.lexicon import DETERMINERS, Lexicon, NounChunks, make_finder, mine_phrases

CORPUS = [
    "I like the sushi.",
    "The burger was great and the fries were hot.",
    "We shared a salad.",
    "My sister ordered an omelette, and the waiter brought us the tacos.",
    "Sushi here is fine!",
    "The tacos were cold. An omelette is better.",
    "Nothing to say.",
]
PHRASES = ["sushi", "burger", "fries", "salad", "omelette", "tacos"]
FINDER = Lexicon(PHRASES)


def entities_of(text: str) -> list[str]:
    [spans] = FINDER.find([text])
    return [text[start:end].lower() for start, end in spans]


def frame_of(text: str) -> str:
    """The text without entities and articles."""
    words = text.lower().replace(".", " .").replace(",", " ,").replace("!", " !").split()
    return " ".join(word for word in words if word not in PHRASES and word not in ("a", "an"))


@pytest.mark.parametrize("seed", range(10))
def test_every_entity_becomes_another_one_and_all_else_stays(seed):
    for text, other in zip(CORPUS, replace_entities(CORPUS, FINDER, seed), strict=True):
        if not entities_of(text):
            assert other is None
            continue
        assert other is not None and other.lower() != text.lower()
        assert not set(entities_of(other)) & set(entities_of(text))
        assert len(entities_of(other)) == len(entities_of(text))
        assert frame_of(other) == frame_of(text)


@pytest.mark.parametrize("seed", range(10))
def test_articles_number_and_capitals_stay_sane(seed):
    for text in filter(None, replace_entities(CORPUS, FINDER, seed)):
        assert " an s" not in text.lower() and " an b" not in text.lower() and " a o" not in text.lower()
        for sentence in text.replace("!", ".").split(". "):
            assert sentence[0].isupper()
        for plural in ("tacos", "fries"):
            assert f"a {plural}" not in text.lower() and f"{plural} was" not in text.lower()
        for singular in ("sushi", "burger", "salad", "omelette"):
            assert f"{singular} were" not in text.lower()


def test_the_seed_decides():
    first = replace_entities(CORPUS, FINDER, 1)
    assert replace_entities(CORPUS, FINDER, 1) == first
    assert any(replace_entities(CORPUS, FINDER, seed) != first for seed in range(2, 8))


def test_without_another_entity_of_its_number_there_is_no_hard_negative():
    assert replace_entities(["I like the sushi.", "The sushi!"], Lexicon(["sushi"]), 0) == [None, None]
    only_singular_has_another = replace_entities(
        ["The ramen and the fries.", "A soup."], Lexicon(["ramen", "fries", "soup"]), 0
    )
    assert only_singular_has_another[0] == "The soup and the fries."


def test_frequent_entities_are_drawn_more_often():
    texts = ["I like the sushi.", *["The burger was fine."] * 9, "The salad was fine."]
    spans = list(FINDER.find(texts))
    pool = EntityPool(texts, spans)
    drawn = [pool.replace(texts[0], spans[0], np.random.default_rng(seed)) for seed in range(200)]
    assert 150 < sum(text == "I like the burger." for text in drawn) < 195  # 9 of 10


def test_a_name_keeps_its_capitals():
    texts = ["The BBQ was fine.", "I like the BBQ here.", "We had the soup."]
    assert replace_entities(texts, Lexicon(["bbq", "soup"]), 0) == [
        "The soup was fine.",
        "I like the soup here.",
        "We had the BBQ.",
    ]


@pytest.mark.parametrize(
    ("before", "entity", "after"),
    [
        ("I had a ", "omelette", "I had an "),
        ("An ", "burger", "A "),
        ("A ", "hour", "An "),
        ("a ", "unicorn", "a "),
        ("banana ", "omelette", "banana "),
        ("the ", "omelette", "the "),
    ],
)
def test_articles(before, entity, after):
    assert with_article(before, entity) == after


@pytest.mark.parametrize(
    ("word", "plural"), [("fries", True), ("glass", False), ("octopus", False), ("gas", False), ("hot dogs", True)]
)
def test_number(word, plural):
    assert is_plural(word) is plural


def test_phrases_are_mined_from_what_follows_determiners():
    texts = ["The spicy ramen was great.", "I love the ramen.", "A ramen, please!", "Get the spicy ramen!"]
    texts += ["The waiter brought us water.", "My waiter brought the bill.", "Ask the waiter.", "The best spicy ramen."]
    texts += ["The crispy pizza was fine.", "Try the crispy pizza.", "The pizza is fine.", "What a crispy crust."]
    mined = mine_phrases(texts)
    assert {"ramen", "spicy ramen", "waiter", "crispy pizza"} <= set(mined)
    assert not {"waiter brought", "brought", "best", "crispy", "please"} & set(mined)


def test_mined_phrases_are_the_same_in_any_order_and_rare_ones_are_left_out():
    texts = [f"The {word} was good." for word in ("soup", "soup", "pie", "pie", "cake")]
    assert mine_phrases(texts) == mine_phrases(texts[::-1]) == ["pie", "soup"]


def test_a_lexicon_finds_the_longest_phrase_in_any_case():
    [spans] = Lexicon(["ramen", "spicy ramen"]).find(["SPICY Ramen beats ramen."])
    assert spans == [(0, 11), (18, 23)]


def test_a_pipeline_without_parser_falls_back_to_the_corpus(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    finder = make_finder(str(tmp_path / "blank"), ["The soup.", "The soup."])
    assert isinstance(finder, Lexicon) and finder.phrases == ("soup",)


def test_a_pipeline_that_is_not_there_is_an_error():
    with pytest.raises(ConfigError, match="no_such_pipeline"):
        make_finder("no_such_pipeline", [])


def test_noun_chunks_of_a_parser(shared_data):
    folder = shared_data / "spacy-en"
    if not folder.is_dir():
        pytest.skip(f"no spaCy pipeline at {folder}")
    finder = make_finder(str(folder), [])
    assert isinstance(finder, NounChunks)
    text = "I liked the crispy pizza and she ordered a salad."
    [spans] = finder.find([text])
    found = [text[start:end] for start, end in spans]
    assert "crispy pizza" in found and "salad" in found
    assert not any(chunk.lower() in DETERMINERS | {"i", "she"} for chunk in found)
    others = replace_entities([text, "The soup was hot.", "We love the tea."], finder, 0)
    assert all(other is not None for other in others)
