"""Which half of a translated text is read, and how it is cut."""

import pytest

from showcases.gest.reading.sentences import english_part, split_sentences

ENGLISH, OTHER = "Very good soup. Come here.", "Muy buena sopa. Ven aquí."


@pytest.mark.parametrize(
    "text",
    [
        f"(Translated by Google) {ENGLISH} (Original) {OTHER}",
        f"(Translated by Google) {ENGLISH}\n\n(Original)\n{OTHER}",
        f"  (translated by google)\n{ENGLISH}(original){OTHER}",
        f"(Original)\n{OTHER}\n\n(Translated by Google)\n{ENGLISH}",
        f"{OTHER}\n\n(Translated by Google)\n{ENGLISH}",
        f"(Translated by Google) {ENGLISH}",
        f"(Translated by Google) {ENGLISH} (Original) {OTHER} (Original)",
        f"(Translated by Google) (Original) {ENGLISH}",
        f"{ENGLISH} (Translated by Google)",
        ENGLISH,
    ],
)
def test_the_english_half_is_found_wherever_it_stands(text: str) -> None:
    assert english_part(text).strip() == ENGLISH
    assert split_sentences([text]) == [["Very good soup.", "Come here."]]


@pytest.mark.parametrize(
    "text", ["", "The (Original) recipe is the best. Go.", OTHER, "Translated by Google, they say."]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert english_part(text) == text


def test_forgetting_words_changes_no_sentence() -> None:
    texts = [
        "Good. Better!! Best?! :) ...",
        "No full stop",
        "",
        "!!!",
        "It was 3.5 stars, e.g. the U.S. burger. 美味しい。 ok",
    ] * 50
    assert split_sentences(texts, forget=True) == split_sentences(texts) == split_sentences(texts, forget=True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r", "\u2028", "\u2029", "\x0b", "\x85"])
def test_a_line_break_ends_a_sentence(end: str) -> None:
    assert split_sentences([f"Great ramen{end}- fast service{end}  Parking was  easy. Nice"]) == [
        ["Great ramen", "- fast service", "Parking was easy.", "Nice"]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ラーメンが美味しい。また来ます！！", ["ラーメンが美味しい。", "また来ます！！"]),
        ("「最高！」と言った。次も行く", ["「最高！」と言った。", "次も行く"]),
        ("很好吃。服务也不错！", ["很好吃。", "服务也不错！"]),
        ("Dr. Lee's ramen cost 3.50. Fine", None),
    ],
)
def test_a_full_stop_without_a_blank_behind_it_ends_a_sentence_too(text: str, expected: list[str] | None) -> None:
    assert split_sentences([text])[0] == (expected or split_sentences([text.replace("  ", " ")])[0])
