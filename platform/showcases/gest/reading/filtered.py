"""GEST-s2 as the authors published it: `filter_all_t.json`, one JSON object of three lists, read row by row.

Format: {"train": [...], "val": [...], "test": [...]} with 87,013, 10,860 and 11,015 rows; a row has
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
        file, number, offset: position of the row: file name, row number from 1, byte offset.
        record: its text is the explanation.
        history: (review id, text) of the user's other reviews, as published.
        bad_history: why each other entry of `history_reviews` is unusable.
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
        reject: called with each unusable row.

    Raises:
        CorpusError: a file can't be read (see `open_input`), or is not JSON of this form (e.g. truncated).
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
    """The usable entries, and why each of the others is unusable."""
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
        raise RowError(Reason.WRONG_TYPE, f"{field} is not a pair of review id and text")
    name, text = pair
    if not name.isprintable() or "_" not in name[1:-1] or len(name) > MAX_ID_LENGTH:
        raise RowError(Reason.BAD_ID, f"{field}: its review id is not <user_id>_<business_id>")
    return name, checked_text(text, field)


def _rows(reader: "_Reader") -> Iterator[tuple[str, int, bytes, Any]]:
    """(split, byte offset, raw bytes, value) of each element of the lists."""
    names = [name for name, _ in SPLITS]
    for key in reader.members("{", "}"):
        if key not in names:
            raise reader.error(f"found `{str(key)[:40]}` where a split's name was expected")
        reader.expect(":")
        for value in reader.members("[", "]"):
            yield key, *reader.last, value
    if reader.next():
        raise reader.error("trailing data after the end")


class _Reader:
    """Iterates over a JSON document's values with their positions."""

    def __init__(self, file: InputFile) -> None:
        self.name, self.text, self.place = file.name, file.stream.read().decode("utf-8", "surrogateescape"), 0
        self.counted, self.bytes = 0, file.skipped  # position up to which bytes are counted, and their number
        self.last: tuple[int, bytes] = (0, b"")  # byte offset and raw bytes of the last value

    def members(self, opening: str, closing: str) -> Iterator[Any]:
        """Values up to the closing bracket."""
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
        """The next non-blank character; empty at the end of the file."""
        self.place = BLANKS.match(self.text, self.place).end()  # type: ignore[union-attr] # it also matches the empty string
        return self.text[self.place : self.place + 1]

    def value(self) -> Any:
        """The next complete value."""
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
            "if it is truncated, download it again; image_review_all.json goes to jobs.ingest"
        )

    def _offset(self) -> int:
        """Byte offset of the current position."""
        self.bytes += len(self.text[self.counted : self.place].encode(errors="surrogateescape"))
        self.counted = self.place
        return self.bytes
