"""Exact duplicates among the photos: one photo stores the bytes, which can be read by any of the ids."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from showcases.storage.artifacts import Workspace
from showcases.storage.s3_errors import read_retrying, store_errors_of
from showcases.storage.shards import read_shard

READERS = 8


class Holders:
    """Assigns to each content the photo that stores its bytes: the first to claim it.

    About 250 bytes of memory per photo. Claims are idempotent.
    """

    def __init__(self, workspace: Workspace) -> None:
        """Start from the existing shards of `images`, photos with bytes first."""
        self._holder: dict[bytes, str] = {}
        found = read_columns(workspace, ["photo_id", "content_hash", "same_as"])
        found = found.filter(pc.is_valid(found["content_hash"]))
        for stored in (True, False):
            part = found.filter(pc.equal(pc.is_null(found["same_as"]), stored))
            holders = part["photo_id" if stored else "same_as"].to_pylist()
            digests = [bytes.fromhex(digest)[:16] for digest in part["content_hash"].to_pylist()]
            self.claim(list(zip(digests, holders, strict=True)))

    def claim(self, contents: Sequence[tuple[bytes, str]]) -> list[str]:
        """Id of the photo that stores the bytes, for each (first 16 bytes of the content hash, photo id)."""
        return [self._holder.setdefault(digest, photo_id) for digest, photo_id in contents]


def orphans(images: pa.Table) -> pa.Array:
    """Ids of duplicates whose bytes are not stored: they must be fetched again.

    Args:
        images: photo_id, status, content_hash, same_as of all rows.
    """
    copies = images.filter(pc.is_valid(images["same_as"]))
    holding = images.filter(pc.and_(pc.equal(images["status"], "ok"), pc.is_null(images["same_as"])))
    row = pc.index_in(copies["same_as"], value_set=holding["photo_id"])
    same = pc.equal(holding["content_hash"].take(row), copies["content_hash"])
    return _flat(copies["photo_id"].filter(pc.invert(pc.fill_null(same, False))))


def drop_rows(workspace: Workspace, shard: str, column: str, values: Sequence[str]) -> int:
    """Delete the rows with one of these values from a shard of `images`; an empty shard is removed.

    Returns:
        Number of deleted rows; they count as never fetched.
    """
    doomed = pc.is_in(read_shard(workspace, shard, [column])[column], value_set=pa.array(values, pa.string()))
    count = int(pc.sum(doomed).as_py() or 0)
    if count == len(doomed):
        with store_errors_of(workspace.filesystem, shard):
            workspace.filesystem.delete_file(shard)
    elif count:
        workspace.write_table(
            read_shard(workspace, shard).filter(pc.invert(doomed)), "images", shard.rpartition("/")[2]
        )
    return count


def read_columns(workspace: Workspace, columns: list[str]) -> pa.Table:
    """These columns of all existing shards of `images`, finished or not."""

    def read(path: str) -> pa.Table:
        return read_shard(workspace, path, columns)

    with ThreadPoolExecutor(READERS) as pool:
        tables = list(pool.map(read, workspace.shards("images")))
    return pa.concat_tables([pa.table({name: pa.array([], pa.string()) for name in columns}), *tables])


def read_photos(workspace: Workspace, photo_ids: Iterable[str]) -> dict[str, bytes]:
    """JPEG bytes of a few photos by id; photos that are not ok are skipped."""
    ids = sorted(set(photo_ids))
    return read_retrying(workspace.filesystem, workspace.path("images"), lambda: _read_photos(workspace, ids))


def _read_photos(workspace: Workspace, photo_ids: list[str]) -> dict[str, bytes]:
    shards = ds.dataset(workspace.shards("images"), filesystem=workspace.filesystem)
    wanted = ds.field("photo_id").isin(photo_ids)
    holder = {
        row["photo_id"]: row["same_as"] or row["photo_id"]
        for row in shards.to_table(columns=["photo_id", "same_as"], filter=wanted).to_pylist()
    }
    held = ds.field("photo_id").isin(sorted(set(holder.values())))
    rows = shards.to_table(columns=["photo_id", "bytes"], filter=held).to_pylist()
    data = {row["photo_id"]: row["bytes"] for row in rows if row["bytes"] is not None}
    return {name: data[other] for name, other in holder.items() if other in data}


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
