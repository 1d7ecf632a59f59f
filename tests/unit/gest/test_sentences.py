"""Which half of a translated text is read, and how it is cut."""

import pytest

from showcases.gest.sentences import english_part, split_sentences

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
