"""Word counts: tokens between blanks, and each letter of scripts that don't separate words by blanks."""

import re

# Letters of Han, Hiragana, Katakana, Thai, Lao, Burmese and Khmer; vowel signs and tone marks belong to their letter.
_LETTERS = (
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
    "\u3041-\u3096\u309d-\u309f"  # Hiragana
    "\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff6f\uff71-\uff9d"  # Katakana
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46"  # Thai
    "\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"  # Lao
    "\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"  # Burmese
    "\ua9e0-\ua9e4\ua9e6-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a\uaa7e\uaa7f"  # extensions of Burmese
    "\u1780-\u17b3\u17d7\u17dc"  # Khmer
)
UNSPACED = re.compile(f"[{_LETTERS}]")
# A run of other characters within the same piece is a word of another script. Marks of those scripts are not words.
_OTHER = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1060"
                    "\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd"
                    "\u3099-\u309c\u30fc\uff70\uff9e\uff9f]+")  # fmt: skip


def count_words(text: str) -> int:
    """Number of words: pieces between blanks, as by `str.split`; each letter of Han, kana, Thai, Lao, Burmese, Khmer.

    Those scripts have no blanks between words, and finding word boundaries needs a dictionary. Unicode's default rule
    (UAX #29) makes each Han and Hiragana character a word, as spaCy does for Chinese; here the rule applies to all of
    them.
    """
    pieces = text.split()
    if text.isascii() or not UNSPACED.search(text):
        return len(pieces)
    return sum(map(_of_piece, pieces))


def _of_piece(piece: str) -> int:
    letters = len(UNSPACED.findall(piece))
    if not letters:
        return 1
    return letters + len(_OTHER.findall(UNSPACED.sub(" ", _MARKS.sub("", piece))))
