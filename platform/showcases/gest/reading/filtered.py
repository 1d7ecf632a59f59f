"""GEST-s2 as the authors published it: `filter_all_t.json`, one JSON object of three lists, taken a row at a time.

What is known of the file: {"train": [...], "val": [...], "test": [...]} with 87,013, 10,860 and 11,015 rows; a row has
the fields of GEST-raw, but bare photo ids, the distilled explanation as `review_text`, and `history_reviews`, pairs of
(review id, text). Whether those texts are whole reviews or explanations too is not documented.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from showcases.errors import CorpusError
from showcases.gest.building.splits import SPLITS
from showcases.gest.reading.lines import RAW_BYTES
from showcases.gest.reading.opening import InputFile, open_input
from showcases.gest.reading.records import Record, checked_text, kind_of, parse_record
from showcases.gest.reading.rejects import Reason, Reject, RowError
from showcases.ids import MAX_ID_LENGTH

BLANKS = re.compile(r"[ \t\r\n]*")
FORM = '{"train": [...], "val": [...], "test": [...]}'


@dataclass(frozen=True)
class FilteredRow:
    """A row of GEST-s2.

    Attributes:
        file, number, offset: where the row is: its file's name, its number in it from 1, bytes before it.
        record: its text is the explanation.
        history: (review id, text) of the user's other reviews, as published.
        bad_history: why each of the other entries of `history_reviews` can't be used.
        raw: as written.
    """

    file: str
    number: int
    offset: int
    split: str
    record: Record
    history: tuple[tuple[str, str], ...]
    bad_history: tuple[str, ...]
    raw: bytes


def read_filtered(files: Sequence[str], reject: Callable[[Reject], None]) -> Iterator[FilteredRow]:
    """Rows of the files, in order; a file's text is in memory (112 MB).

    Args:
        files: from `find_files`.
        reject: takes the rows that cannot be used.

    Raises:
        CorpusError: a file can't be read (see `open_input`), or is no JSON of this form (such as one that is cut off).
    """
    for file in files:
        with open_input(file) as opened:
            for number, (split, offset, raw, value) in enumerate(_rows(_Reader(opened)), start=1):
                try:
                    record = parse_record(value)
                    history, bad = _history(value.get("history_reviews"))
                except RowError as error:
                    reject(Reject(number, offset, error.reason, error.detail, raw[:RAW_BYTES], opened.name))
                else:
                    yield FilteredRow(opened.name, number, offset, split, record, history, bad, raw)


def _history(raw: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The entries that can be used, and why each of the others can't."""
    if raw is None:
        return (), ()
    if not isinstance(raw, list):
        raise RowError(Reason.WRONG_TYPE, f"history_reviews is {kind_of(raw)}, not a list")
    pairs, bad = [], []
    for number, pair in enumerate(raw):
        try:
            pairs.append(_past_review(pair, f"history_reviews[{number}]"))
        except RowError as error:
            bad.append(error.detail)
    return tuple(pairs), tuple(bad)


def _past_review(pair: Any, field: str) -> tuple[str, str]:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
        raise RowError(Reason.WRONG_TYPE, f"{field} is no pair of a review id and a text")
    name, text = pair
    if not name.isprintable() or "_" not in name[1:-1] or len(name) > MAX_ID_LENGTH:
        raise RowError(Reason.BAD_ID, f"{field}: its review id is no <user_id>_<business_id>")
    return name, checked_text(text, field)


def _rows(reader: "_Reader") -> Iterator[tuple[str, int, bytes, Any]]:
    """(split, byte offset, as written, value) of each element of the lists."""
    names = [name for name, _ in SPLITS]
    for key in reader.members("{", "}"):
        if key not in names:
            raise reader.error(f"found `{str(key)[:40]}` where a split's name was expected")
        reader.expect(":")
        for value in reader.members("[", "]"):
            yield key, *reader.last, value
    if reader.next():
        raise reader.error("more follows after the end")


class _Reader:
    """A JSON document's values one after another, each with its place."""

    def __init__(self, file: InputFile) -> None:
        self.name, self.text, self.place = file.name, file.stream.read().decode("utf-8", "surrogateescape"), 0
        self.counted, self.bytes = 0, file.skipped  # place up to which bytes are counted, and how many came before it
        self.last: tuple[int, bytes] = (0, b"")  # byte offset and raw bytes of the last value

    def members(self, opening: str, closing: str) -> Iterator[Any]:
        """Values between brackets, up to the closing one."""
        self.expect(opening)
        if self.next() != closing:
            yield self.value()
            while self.next() != closing:
                self.expect(",")
                yield self.value()
        self.expect(closing)

    def expect(self, character: str) -> None:
        if (found := self.next()) != character:
            raise self.error(f"expected `{character}`, found {f'`{found}`' if found else 'the end of the file'}")
        self.place += 1

    def next(self) -> str:
        """The next character that is no blank; empty at the end of the file."""
        self.place = BLANKS.match(self.text, self.place).end()  # type: ignore[union-attr] # it matches nothing, too
        return self.text[self.place : self.place + 1]

    def value(self) -> Any:
        """The next value, whole."""
        self.next()
        try:
            value, end = json.JSONDecoder().raw_decode(self.text, self.place)
        except (ValueError, RecursionError) as problem:
            raise self.error(str(problem)[:200]) from problem
        raw = self.text[self.place : end].encode(errors="surrogateescape")
        self.last, self.place = (self._offset(), raw), end
        return value

    def error(self, problem: str) -> CorpusError:
        return CorpusError(
            f"{self.name}, byte {self._offset():,}: {problem}; the file is expected to be one JSON object {FORM}; "
            "if it was cut off, fetch it again; image_review_all.json goes to jobs.ingest"
        )

    def _offset(self) -> int:
        """Bytes of the file before the place."""
        self.bytes += len(self.text[self.counted : self.place].encode(errors="surrogateescape"))
        self.counted = self.place
        return self.bytes
