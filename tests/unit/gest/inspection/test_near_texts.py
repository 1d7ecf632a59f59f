"""Near-identical texts against all pairs in plain Python, and languages on sentences picked by hand."""

import json
import random
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from showcases.gest.inspection import languages, near, words


def plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    said = plain_words(text)
    return {tuple(said[place : place + 3]) for place in range(len(said) - 2)}


def made_texts(seed: int, count: int) -> list[str]:
    """A few texts, with a word changed here and there; some of a handful of words, some with a word over and over."""
    draw = random.Random(seed)
    vocabulary = [f"word{number}" for number in range(30)] + ["the", "The"]
    bases = [[draw.choice(vocabulary) for _ in range(draw.randint(0, 35))] for _ in range(count // 6)]
    texts = []
    for _ in range(count):
        said = list(draw.choice(bases))
        for _ in range(draw.randint(0, 3) if said else 0):
            said[draw.randrange(len(said))] = draw.choice(vocabulary)
        texts.append(draw.choice([" ", ", ", "… "]).join(said + ["so"] * draw.choice([0, 0, 1, 7])))
    return texts


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_near_texts_are_all_that_a_comparison_of_all_pairs_finds(
    threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "BATCH", 70)
    monkeypatch.setattr(near, "ROWS", 50)
    monkeypatch.setattr(near, "VERIFIED", 30)
    texts = made_texts(0, 300)
    found = near.compare(pa.chunked_array([texts[:10], texts[10:]]), threshold)
    form = [" ".join(plain_words(text)) for text in texts]
    long = sorted({text for text in form if len(text.split()) >= near.SHORT})
    sets = {text: plain_shingles(text) for text in long}
    expected = {
        frozenset((a, b))
        for a, b in combinations(long, 2)
        if len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= threshold
    }
    named = dict(zip(found.group.tolist(), form, strict=True))
    assert {frozenset((named[a], named[b])) for a, b in found.pairs.tolist()} == expected
    assert len(found.pairs) == len(expected) > 0
    assert found.groups == len(set(form)) == len(named)
    assert found.words.tolist() == [len(text.split()) for text in form]


def test_case_marks_and_spaces_are_no_difference_and_nothing_is_nothing() -> None:
    texts = ["Great ramen, really great ramen!", "great RAMEN really\ngreat ramen", None, "👍", "Ｇｒｅａｔ", "great"]
    found = near.compare(pa.chunked_array([texts]))
    assert found.group[0] == found.group[1] != found.group[2] == found.group[3] != found.group[4] == found.group[5]
    assert found.words.tolist() == [5, 5, 0, 0, 1, 1]
    assert len(near.compare(pa.chunked_array([], pa.string())).pairs) == 0


def test_scripts_without_spaces_are_compared_by_character() -> None:
    texts = [
        "雰囲気が良くて、日替わりランチも最高でした！次は家族と来ます。",
        "雰囲気が良くて、日替わりランチも最高でした！次は友達と来ます。",
    ]
    found = near.compare(pa.chunked_array([texts]), threshold=0.6)
    assert found.pairs.tolist() == [sorted(found.group.tolist())]


SENTENCES = {
    "en": ["The food was amazing and the staff were very friendly.", "Best tacos in town, we will be back!"],
    "es": ["La comida estaba muy rica y el servicio fue excelente.", "Excelente lugar para comer con la familia"],
    "fr": ["Très bonne adresse, le plat du jour était excellent.", "Nous avons tout aimé, et c'est très calme."],
    "de": ["Das Essen war sehr gut und die Bedienung freundlich.", "Wir kommen gerne wieder."],
    "it": ["Il cibo era ottimo e il personale molto gentile.", "Ottimo posto per mangiare con gli amici"],
    "pt": ["A comida estava muito boa e o atendimento foi ótimo."],
    "nl": ["Het eten was heerlijk en de bediening erg vriendelijk."],
    "pl": ["Jedzenie było bardzo dobre i obsługa bardzo miła."],
    "ru": ["Еда была очень вкусной, и персонал очень приветливый."],
    "uk": ["Їжа була дуже смачною, і персонал дуже привітний."],
    "ar": ["كان الطعام لذيذا جدا والخدمة ممتازة في هذا المطعم"],
    "ja": ["雰囲気が良くて、日替わりランチも最高でした！"],
    "zh": ["这家餐厅的菜非常好吃，服务也很好。"],
    "ko": ["음식이 정말 맛있고 직원들이 친절했어요."],
    "el": ["Το φαγητό ήταν πολύ καλό"],
    "und": ["Great food", "", "👍👍", "12345", "Yum!"],
}


@pytest.mark.parametrize("language", SENTENCES)
def test_languages_of_sentences_picked_by_hand(language: str) -> None:
    texts = SENTENCES[language]
    assert languages.histogram(pa.chunked_array([texts])) == {language: len(texts)}


def test_of_a_translated_review_the_part_that_is_read_counts() -> None:
    english, spanish = SENTENCES["en"][0], SENTENCES["es"][0]
    texts = [
        f"(Translated by Google) {english}\n\n(Original)\n{spanish}",
        f"{spanish}\n\n(Translated by Google)\n{english}",
        spanish,
    ]
    found = languages.languages(pa.chunked_array([texts]))
    assert [languages.LANGUAGES[number] for number in found] == ["en", "es", "es"]
    assert languages.translated(pa.chunked_array([[*texts, None]])) == 2


def test_real_reviews_are_english_or_undetermined(shared_data: Path) -> None:
    lines = (shared_data / "google-local" / "image_review_all.json").read_text().splitlines()
    texts = pa.chunked_array([[json.loads(line)["review_text"] for line in lines]])
    found = languages.histogram(texts)
    assert found["en"] / len(lines) > 0.75  # restaurants in Wyoming
    assert found["en"] + found["und"] > 0.99 * len(lines)
    likeness = near.compare(texts)
    assert np.isin(likeness.pairs, likeness.group[likeness.long]).all()
