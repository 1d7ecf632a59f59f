"""Words of scripts with and without blanks between them; against Unicode names and the inspection's rule."""

import random
import unicodedata

import pyarrow as pa
import pytest

from showcases.gest.inspection.words import words_of
from showcases.gest.reading.word_count import UNSPACED, count_words

SCRIPTS = (
    "CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA LETTER", "KATAKANA LETTER", "THAI CHARACTER", "LAO ",
    "MYANMAR", "KHMER",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Great ramen, well-made!", 3),
        ("¡Qué rico! – sí", 4),  # as split sees it
        ("美味しい", 4),
        ("ラーメン 美味しい。", 7),  # the long vowel's mark is no letter
        ("ramenが美味しい。", 6),
        ("很好吃", 3),
        ("อร่อยมาก", 7),  # one tone mark
        ("ອາຫານແຊບ", 8),
        ("3つ星", 3),
        ("맛있어요 정말", 2),  # Korean has blanks
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words


def test_letters_are_those_of_the_scripts_by_their_names() -> None:
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Lo", "Lm"):
            name = unicodedata.name(character, "")
            wanted = name.startswith(SCRIPTS) and not 0x11000 <= code < 0x20000  # historic kana
            if wanted:
                assert UNSPACED.match(character), (hex(code), name)
        elif UNSPACED.match(character):
            assert unicodedata.category(character) in ("Nl", "Cn", "So"), hex(code)


def test_the_inspection_counts_the_same_letters() -> None:
    draw = random.Random(0)
    letters = "美味麺のをラメกขค"
    for _ in range(200):
        text = " ".join("".join(draw.choices(letters, k=draw.randrange(1, 5))) for _ in range(4))
        assert count_words(text) == int(words_of(pa.array([text])).lengths[0])
