"""Read JSON-lines files in blocks of whole lines: a few megabytes in memory at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from showcases.gest.reading.opening import file_size, open_input

RAW_BYTES = 1000  # of a rejected line that are stored


@dataclass(frozen=True)
class Block:
    """Consecutive whole lines.

    Attributes:
        number: index of the block over all files, from 0.
        file: name of its file, as shown in messages.
        offset: byte offset in the (decompressed) file.
        line: number of its first line in the file, from 1.
        data: the lines; only the beginning of an oversized line.
        oversized: length in bytes if the block is one oversized line; else 0.
    """

    number: int
    file: str
    offset: int
    line: int
    data: bytes
    oversized: int = 0

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """(line number, byte offset, bytes without line ending) of each line."""
        number, offset = self.line, self.offset
        pieces = self.data.split(b"\n")
        if not pieces[-1]:
            pieces.pop()
        for piece in pieces:
            yield number, offset, piece
            number, offset = number + 1, offset + len(piece) + 1


def read_blocks(
    files: Sequence[str],
    block_bytes: int,
    max_line_bytes: int,
    seen: Callable[[int, int], None] = lambda read, total: None,
) -> Iterator[Block]:
    """Split the files, in order, into blocks of about `block_bytes`, with one in memory at a time.

    Args:
        files: from `find_files`.
        seen: called after each block with the bytes read so far and the total bytes of all files.

    Raises:
        CorpusError, ObjectStoreError: a file can't be read (see `open_input`).
    """
    total = sum(map(file_size, files)) if len(files) > 1 else 0
    number, before = 0, 0
    for name in files:
        with open_input(name) as file:
            for block in _cut(file.stream, file.name, file.skipped, block_bytes, max_line_bytes, number):
                seen(before + file.packed.tell(), total or file.size)
                yield block
                number = block.number + 1
            before += file.size


def _cut(stream: BinaryIO, file: str, offset: int, size: int, longest: int, number: int) -> Iterator[Block]:
    line = 1
    while data := stream.read(size):
        if not data.endswith(b"\n"):
            data += stream.readline(longest + 1)
        whole, rest = _split_tail(data, longest)
        if whole:
            yield Block(number, file, offset, line, whole)
            number, offset, line = number + 1, offset + len(whole), line + _count(whole)
        if rest:  # the beginning of an oversized line
            length = len(rest) + _skip_line(stream, longest)
            yield Block(number, file, offset, line, rest[:RAW_BYTES], oversized=length)
            number, offset, line = number + 1, offset + length, line + 1


def _split_tail(data: bytes, longest: int) -> tuple[bytes, bytes]:
    """Whole lines, and the beginning of a line longer than `longest` bytes."""
    start = data.rfind(b"\n") + 1
    return (data[:start], data[start:]) if len(data) - start > longest else (data, b"")


def _skip_line(stream: BinaryIO, size: int) -> int:
    """Skip the rest of a line; returns its length in bytes, including the line ending."""
    skipped = 0
    while piece := stream.readline(size):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _count(lines: bytes) -> int:
    return lines.count(b"\n") + (not lines.endswith(b"\n"))
