"""Plans the remaining embedding work as units: rows of one row group of an input shard, on a fixed grid.

The driver reads only ids and a few small columns, never photos or texts: for GEST's 4.4 million photos and about 9
million sentences that is about a gigabyte of Arrow strings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.runner.stream import unit_name
from showcases.clip.units import PHOTOS, SENTENCES, Unit
from showcases.storage.artifacts import Workspace
from showcases.storage.s3_errors import read_retrying

READERS = 8  # shards read in parallel
NO_COPIES = pa.table({"photo_id": pa.array([], pa.string()), "same_as": pa.array([], pa.string())})


@dataclass(frozen=True)
class Plan:
    """Expected ids of one artifact, and the missing units.

    Attributes:
        ids: (n,) all ids that get a vector or a failure.
        units: the remaining work.
        left: number of ids in the units.
        orphans: duplicates whose original is missing, so they can't be embedded.
    """

    ids: pa.Array
    units: list[Unit]
    left: int
    orphans: Sequence[str] = ()


@dataclass(frozen=True)
class RowGroup:
    """A row group of an input shard, with its planning columns."""

    path: str
    number: int
    table: pa.Table


def plan_photos(workspace: Workspace, done: pa.Array, size: int) -> Plan:
    """Units of at most `size` stored photos; exact duplicates are assigned to the unit of their original."""
    groups = row_groups(workspace, "images", ("photo_id", "status", "same_as"))
    masks = [_mask(pc.and_(pc.equal(g.table["status"], "ok"), pc.is_null(g.table["same_as"]))) for g in groups]
    rows = [np.flatnonzero(mask) for mask in masks]
    stored = _joined(group.table["photo_id"].take(pa.array(taken)) for group, taken in zip(groups, rows, strict=True))
    copies = pa.concat_tables([_copies(group.table) for group in groups] or [NO_COPIES])
    twins = copies.filter(pc.is_in(copies["same_as"], value_set=stored))
    orphans = copies.filter(pc.invert(pc.is_in(copies["same_as"], value_set=stored)))["photo_id"]
    todo = ~_mask(pc.is_in(stored, value_set=done))  # (stored,)
    writes = _shared(twins.filter(pc.invert(pc.is_in(twins["photo_id"], value_set=done))), stored, todo)
    cells = [np.arange(len(taken)) // size for taken in rows]
    units = list(_cut(PHOTOS, groups, rows, cells, stored, todo, writes))
    left = int(todo.sum()) + sum(len(shared) - 1 for shared in writes.values())
    return Plan(_joined([stored, *copies["photo_id"].chunks]), units, left, orphans.to_pylist())


def plan_sentences(workspace: Workspace, done: pa.Array, size: int) -> Plan:
    """Units of about `size` sentences, without splitting reviews. Sentence ids are <review_id>:<i>."""
    groups = row_groups(workspace, "reviews", ("review_id", "sentences"), _counted)
    counts = [group.table["count"].to_numpy() for group in groups]
    rows = [np.flatnonzero(count) for count in counts]
    reviews = _joined(group.table["review_id"].take(pa.array(taken)) for group, taken in zip(groups, rows, strict=True))
    each = np.concatenate([count[taken] for count, taken in zip(counts, rows, strict=True)] or [np.zeros(0, np.int64)])
    first = pc.binary_join_element_wise(reviews, "0", ":")
    todo = ~_mask(pc.is_in(first, value_set=done))  # (reviews with a sentence,)
    cells = [(np.cumsum(c[taken]) - c[taken]) // size for c, taken in zip(counts, rows, strict=True)]
    units = list(_cut(SENTENCES, groups, rows, cells, reviews, todo, {}))
    return Plan(_sentence_ids(reviews, each), units, int(each[todo].sum()))


def row_groups(
    workspace: Workspace, artifact: str, columns: Sequence[str], work: Callable[[pa.Table], pa.Table] = lambda t: t
) -> list[RowGroup]:
    """`work` applied to columns of each row group of an artifact, in order; missing columns are null."""

    def read(path: str) -> list[RowGroup]:
        with workspace.filesystem.open_input_file(path) as stream:
            file = pq.ParquetFile(stream, pre_buffer=True)
            names = [name for name in columns if name in file.schema_arrow.names]
            tables = [file.read_row_group(number, names) for number in range(file.num_row_groups)]
        for name in set(columns) - set(names):
            tables = [table.append_column(name, pa.nulls(table.num_rows, pa.string())) for table in tables]
        return [RowGroup(path, number, work(table)) for number, table in enumerate(tables)]

    def read_shard(path: str) -> list[RowGroup]:
        return read_retrying(workspace.filesystem, path, lambda: read(path))

    with ThreadPoolExecutor(READERS) as pool:
        return [group for found in pool.map(read_shard, workspace.shards(artifact)) for group in found]


def _cut(
    artifact: str,
    groups: Sequence[RowGroup],
    rows: Sequence[np.ndarray],
    cells: Sequence[np.ndarray],
    ids: pa.Array,
    todo: np.ndarray,
    writes: Mapping[str, Sequence[str]],
) -> Iterator[Unit]:
    """A unit for each grid cell with remaining rows; the name of a complete cell is stable."""
    start = 0
    for group, taken, cell in zip(groups, rows, cells, strict=True):
        mine = np.flatnonzero(todo[start : start + len(taken)])
        for chosen in np.split(mine, np.flatnonzero(np.diff(cell[mine])) + 1) if len(mine) else ():
            names = ids.take(pa.array(chosen + start)).to_pylist()
            shared = {name: writes[name] for name in names if name in writes}
            name = unit_name(each for one in names for each in shared.get(one, (one,)))
            yield Unit(artifact, name, group.path, group.number, taken[chosen].astype(np.int32), shared)
        start += len(taken)


def _copies(table: pa.Table) -> pa.Table:
    copies = pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["same_as"]))
    return table.filter(copies).select(["photo_id", "same_as"])


def _shared(twins: pa.Table, stored: pa.Array, todo: np.ndarray) -> dict[str, list[str]]:
    """Ids to write per photo, for photos with remaining duplicates; marks these photos in `todo`."""
    shared: dict[str, list[str]] = {}
    for name, twin in zip(twins["same_as"].to_pylist(), twins["photo_id"].to_pylist(), strict=True):
        shared.setdefault(name, []).append(twin)
    places = pc.index_in(pa.array(list(shared), pa.string()), value_set=stored).to_pylist()
    writes = {
        name: ([name] if todo[place] else []) + twins
        for (name, twins), place in zip(shared.items(), places, strict=True)
    }
    todo[places] = True
    return writes


def _counted(table: pa.Table) -> pa.Table:
    count = pc.fill_null(pc.list_value_length(table["sentences"]), 0)
    return pa.table({"review_id": table["review_id"], "count": count})


def _sentence_ids(reviews: pa.Array, counts: np.ndarray) -> pa.Array:
    owners = np.repeat(np.arange(len(counts)), counts)
    numbers = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return pc.binary_join_element_wise(reviews.take(pa.array(owners)), pa.array(numbers).cast(pa.string()), ":")


def _joined(arrays: "Iterator[pa.Array | pa.ChunkedArray] | list[pa.Array]") -> pa.Array:
    chunks = [c for array in arrays for c in (array.chunks if isinstance(array, pa.ChunkedArray) else [array])]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()


def _mask(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(values, False))
