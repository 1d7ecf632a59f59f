"""The interface of photo sources."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from showcases.storage.s3 import retry_read

READERS = 16  # concurrent reads per task, and thus undecoded photos in its memory
_T = TypeVar("_T")


@dataclass(frozen=True)
class Raw:
    """A source's result for one photo.

    Attributes:
        data: the original bytes; None on failure.
        status: ok, or another status of the artifact `images`.
        error: why it is not ok.
        received: bytes received, including failed tries.
    """

    data: bytes | None
    status: str = "ok"
    error: str | None = None
    received: int = 0


Take = Callable[[str, Raw], dict[str, Any]]  # (photo id, result) -> row of `images`


class Source(Protocol):
    """Photos by id. Instances are small, and pickled to workers."""

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        """One row of `images` for each row of `wanted` (photo_id, url, and the source's columns), also on failure."""
        ...


def read_side_by_side(read: Callable[[_T], Raw], items: Sequence[_T]) -> Iterator[Raw]:
    """Map `read` over the items with a few threads; results in order."""
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(items), READERS):
            yield from pool.map(read, items[start : start + READERS])


def read_range(file: pa.NativeFile, offset: int, size: int, max_bytes: int) -> Raw:
    """Read `size` bytes of a file, unless they exceed `max_bytes`.

    Raises:
        OSError: a short read.
    """
    if size > max_bytes:
        return Raw(None, "too_large", f"{size} bytes; at most {max_bytes}")
    if offset + size > file.size():
        return Raw(None, "corrupt", "the file ends before the photo does")

    def read() -> bytes:
        data = file.read_at(size, offset)
        if len(data) != size:
            raise OSError(f"read {len(data)} of {size} bytes")
        return data

    return Raw(retry_read(read), received=size)
