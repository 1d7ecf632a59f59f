"""A file of one JSON object a line, plain or gzip'ed, as blocks of whole lines: a few megabytes in memory at a time."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from showcases.errors import CorpusError

GZIP = b"\x1f\x8b"  # the first bytes of every gzip file
RAW_BYTES = 1000  # of a rejected line that are kept


@dataclass(frozen=True)
class Block:
    """Whole lines that lie next to each other.

    Attributes:
        number: of the block in the file, from 0.
        offset: bytes before it; of what was unpacked where the file is gzip'ed.
        line: number of its first line, from 1.
        data: the lines; of a line that is too long, its beginning alone.
        oversized: bytes of that one line, where the block is a line that is too long; else 0.
    """

    number: int
    offset: int
    line: int
    data: bytes
    oversized: int = 0

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """(line number, byte offset, bytes without the line's end) of each line."""
        number, offset = self.line, self.offset
        pieces = self.data.split(b"\n")
        if not pieces[-1]:
            pieces.pop()
        for piece in pieces:
            yield number, offset, piece
            number, offset = number + 1, offset + len(piece) + 1


def read_blocks(
    path: Path, block_bytes: int, max_line_bytes: int, seen: Callable[[int, int], None] = lambda read, total: None
) -> Iterator[Block]:
    """Cut the file into blocks of about `block_bytes`; no more than one lies in memory here.

    Args:
        seen: called after each block with the bytes of the file read so far and in all.

    Raises:
        CorpusError: there is no such file, or it is a gzip file that is cut off or damaged.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; give GEST-raw's image_review_all.json with --reviews")
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        total = os.fstat(file.fileno()).st_size
        try:
            for block in _cut(stream, block_bytes, max_line_bytes):
                seen(file.tell(), total)
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorpusError(
                f"{path}: damaged after {file.tell():,} of {total:,} bytes ({error}); fetch the file again"
            ) from error


def _cut(stream: BinaryIO, size: int, longest: int) -> Iterator[Block]:
    number, offset, line = 0, 0, 1
    while data := stream.read(size):
        if not data.endswith(b"\n"):
            data += stream.readline(longest + 1)
        whole, rest = _split_tail(data, longest)
        if whole:
            yield Block(number, offset, line, whole)
            number, offset, line = number + 1, offset + len(whole), line + _count(whole)
        if rest:  # the beginning of a line that is too long to be read
            length = len(rest) + _skip_line(stream, longest)
            yield Block(number, offset, line, rest[:RAW_BYTES], oversized=length)
            number, offset, line = number + 1, offset + length, line + 1


def _split_tail(data: bytes, longest: int) -> tuple[bytes, bytes]:
    """Whole lines, and the beginning of a line that goes on after more than `longest` bytes."""
    start = data.rfind(b"\n") + 1
    return (data[:start], data[start:]) if len(data) - start > longest else (data, b"")


def _skip_line(stream: BinaryIO, size: int) -> int:
    """Bytes up to and with the line's end."""
    skipped = 0
    while piece := stream.readline(size):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _count(lines: bytes) -> int:
    return lines.count(b"\n") + (not lines.endswith(b"\n"))
