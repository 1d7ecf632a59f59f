"""Reading an artifact's Parquet shards one by one: some ahead of the reader, so that a far store's delay is hidden."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from showcases.artifacts import Workspace
from showcases.object_store import insist
from showcases.store_errors import explained

AHEAD = 8  # shards
_T = TypeVar("_T")


def read_shard(workspace: Workspace, path: str, columns: Sequence[str]) -> pa.Table:
    """These columns of one shard."""
    files = workspace.filesystem
    with explained(files, path):
        return insist(lambda: pq.read_table(path, columns=list(columns), filesystem=files, partitioning=None))


def read_shards(workspace: Workspace, paths: Iterable[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """These columns of each shard, in order; memory holds `AHEAD` shards."""
    return _ahead(lambda path: read_shard(workspace, path, columns), paths)


def count_rows(workspace: Workspace, paths: Iterable[str]) -> list[int]:
    """Rows of each shard, by its footer."""

    def count(path: str) -> int:
        with explained(workspace.filesystem, path):
            return insist(lambda: pq.read_metadata(path, filesystem=workspace.filesystem).num_rows)

    return list(_ahead(count, paths))


def _ahead(read: Callable[[str], _T], paths: Iterable[str]) -> Iterator[_T]:
    left = iter(paths)
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: deque[Future[_T]] = deque(pool.submit(read, path) for path in islice(left, AHEAD))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(read, path) for path in islice(left, 1))
            yield result
