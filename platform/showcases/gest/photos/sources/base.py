"""What every source of photos gives and takes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from showcases.storage.s3 import retry_read

READERS = 16  # files that one task reads side by side; as many photos at most lie in its memory undecoded
_T = TypeVar("_T")


@dataclass(frozen=True)
class Raw:
    """What a source has for one photo.

    Attributes:
        data: the bytes as they came; None where there are none.
        status: ok; or what has become of it, as in the artifact `images`.
        error: why it is not ok.
        received: bytes that came, those of broken tries too.
    """

    data: bytes | None
    status: str = "ok"
    error: str | None = None
    received: int = 0


Take = Callable[[str, Raw], dict[str, Any]]  # photo id and what came, to a row of `images`


class Source(Protocol):
    """Photos by id. Instances are small and travel to workers."""

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        """A row of `images` for each of `wanted` (photo_id, url, and what the source added), whatever becomes of it."""
        ...


def read_side_by_side(read: Callable[[_T], Raw], items: Sequence[_T]) -> Iterator[Raw]:
    """What `read` gives for each item, in order, a few at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(items), READERS):
            yield from pool.map(read, items[start : start + READERS])


def read_range(file: pa.NativeFile, offset: int, size: int, max_bytes: int) -> Raw:
    """So many bytes of a file, unless they are too many.

    Raises:
        OSError: fewer came than the file has.
    """
    if size > max_bytes:
        return Raw(None, "too_large", f"{size} bytes; at most {max_bytes}")
    if offset + size > file.size():
        return Raw(None, "corrupt", "the file ends before it does")

    def read() -> bytes:
        data = file.read_at(size, offset)
        if len(data) != size:
            raise OSError(f"{len(data)} of {size} bytes came")
        return data

    return Raw(retry_read(read), received=size)
