"""Ids: their validation, everywhere in Showcases, and the composition and parsing of composite ids.

A user's, a business' or a photo's id comes from the data. A review of the corpus is named by its user and its business,
a sentence by its review and its number; no two such pairs give the same id.
"""

import re

MAX_ID_LENGTH = 250  # characters of any id: `<photo id>.jpeg` still is a file name, which has at most 255
PHOTO_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_ID_LENGTH}}}")  # of a photo of the corpus, which becomes a file name
RULE = f"1 to {MAX_ID_LENGTH} printable characters, not blanks alone"
_SEPARATOR = "_"
_ESCAPES = {"%": "%25", _SEPARATOR: "%5F"}
_ESCAPED = re.compile("|".join(_ESCAPES.values()))
_PLAIN = {escaped: plain for plain, escaped in _ESCAPES.items()}


def is_id(value: str) -> bool:
    """Whether this is a valid id of a user, a business or a review."""
    return 1 <= len(value) <= MAX_ID_LENGTH and value.isprintable() and not value.isspace()


def review_id(user_id: str, business_id: str) -> str:
    """`<user_id>_<business_id>`, with `%25` and `%5F` in place of `%` and `_` in the user's part.

    So the first `_` separates the two, and official ids, which contain neither, are as published.
    """
    if "%" in user_id or _SEPARATOR in user_id:
        user_id = user_id.replace("%", _ESCAPES["%"]).replace(_SEPARATOR, _ESCAPES[_SEPARATOR])
    return f"{user_id}{_SEPARATOR}{business_id}"


def split_review_id(name: str) -> tuple[str, str]:
    """(user id, business id); the inverse of `review_id`."""
    user, _, business = name.partition(_SEPARATOR)
    return _ESCAPED.sub(lambda found: _PLAIN[found.group()], user), business


def sentence_id(review: str, number: int) -> str:
    """`<review id>:<number>`, the number of the sentence in its review, from 0."""
    return f"{review}:{number}"


def review_of(sentence: str) -> str:
    """The review id in a sentence id: all before the last colon, because review ids may contain colons."""
    return sentence.rpartition(":")[0]
