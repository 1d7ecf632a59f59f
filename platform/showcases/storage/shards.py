"""Read an artifact's Parquet shards one by one, with prefetching to hide the store's latency."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from showcases.storage.artifacts import Workspace
from showcases.storage.s3_errors import read_retrying

AHEAD = 8  # shards
_T = TypeVar("_T")


def read_shard(workspace: Workspace, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns of one shard, by default all."""
    files = workspace.filesystem
    names = None if columns is None else list(columns)
    return read_retrying(files, path, lambda: pq.read_table(path, columns=names, filesystem=files, partitioning=None))


def read_row_group(workspace: Workspace, path: str, group: int, columns: Sequence[str]) -> pa.Table:
    """Read columns of one row group of a shard."""

    def read() -> pa.Table:
        with workspace.filesystem.open_input_file(path) as stream:
            return pq.ParquetFile(stream, pre_buffer=True).read_row_group(group, columns=list(columns))

    return read_retrying(workspace.filesystem, path, read)


def read_footer(workspace: Workspace, path: str) -> pq.FileMetaData:
    """Rows, row groups and schema of one shard."""
    files = workspace.filesystem
    return read_retrying(files, path, lambda: pq.read_metadata(path, filesystem=files))


def read_shards(workspace: Workspace, paths: Iterable[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read columns of each shard, in order, with `AHEAD` shards in memory."""
    return _ahead(lambda path: read_shard(workspace, path, columns), paths)


def count_rows(workspace: Workspace, paths: Iterable[str]) -> list[int]:
    """Number of rows of each shard, from its footer."""
    return list(_ahead(lambda path: read_footer(workspace, path).num_rows, paths))


def _ahead(read: Callable[[str], _T], paths: Iterable[str]) -> Iterator[_T]:
    left = iter(paths)
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque[Future[_T]] = deque(pool.submit(read, path) for path in islice(left, AHEAD))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(read, path) for path in islice(left, 1))
            yield result
