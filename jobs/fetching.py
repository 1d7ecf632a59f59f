"""Units of photos through Ray Data: each fetched, checked and written by one task; duplicates told by one actor."""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
from ray.data import TaskPoolStrategy

from jobs.shards import cut, unit_name
from jobs.step import StepContext
from showcases.artifacts import Workspace
from showcases.gest.config import FetchConfig
from showcases.gest.fetch import fetch_unit
from showcases.gest.images import Holders, drop_rows
from showcases.gest.sources import Source, Tars, Urls
from showcases.gest.sources.tars import locate

FOREVER = -1  # retries of what a lost process or node was doing; a unit done twice writes the same file


def fetch(context: StepContext, source: Source, photos: pa.Table) -> Iterator[dict[str, float]]:
    """What each unit of these photos came to (see Tally), as its shard is written, in no order."""
    config, root = context.config.fetch_images, context.workspace.root
    if not photos.num_rows:
        return
    units = [{"unit": pickle.dumps(list(piece))} for piece in cut(photos.to_pylist(), config.unit)]
    holders = ray.remote(Holders).options(num_cpus=0, max_restarts=FOREVER, max_task_retries=FOREVER).remote(root)
    task = _Fetching(root, source, config, photos.schema, holders)
    finished = ray.data.from_items(units, override_num_blocks=len(units)).map(
        task.__call__,
        num_cpus=1,
        max_retries=FOREVER,
        compute=TaskPoolStrategy(config.http.tasks if isinstance(source, Urls) else None),
    )
    yield from finished.iter_rows()


def located(source: Source, photos: pa.Table) -> pa.Table:
    """The photos with where they lie in their tars, for a source of tars; the tars are read side by side."""
    if not isinstance(source, Tars):
        return photos
    index = ray.remote(Tars.index).options(max_retries=FOREVER)
    members = ray.get([index.remote(source, tar) for tar in source.tars])
    for _, broken in members:
        if broken:
            print(f"  broken: {broken}; what lies before the break is used", flush=True)
    return locate(photos, [table for table, _ in members])


def drop(workspace: Workspace, column: str, values: Sequence[str]) -> int:
    """Take the rows with one of these values out of all shards; returns how many."""
    shards = [{"shard": path} for path in workspace.shards("images")]
    if not shards:
        return 0
    dropped = ray.data.from_items(shards).map(_Dropping(workspace, column, list(values)).__call__)
    return int(sum(row["dropped"] for row in dropped.iter_rows()))


class _Fetching:
    """Fetches a unit and writes its shard."""

    def __init__(self, root: str, source: Source, config: FetchConfig, schema: pa.Schema, holders: Any) -> None:
        self.root, self.source, self.config, self.schema, self.holders = root, source, config, schema, holders

    def __call__(self, row: dict[str, Any]) -> dict[str, float]:
        wanted = pa.Table.from_pylist(pickle.loads(row["unit"]), schema=self.schema)
        unit = fetch_unit(self.source, wanted, self.config.max_side, self.config.max_pixels)
        table = unit.table(ray.get(self.holders.claim.remote(unit.contents)))
        Workspace(self.root).write_table(table, "images", unit_name(wanted["photo_id"].to_pylist()))
        return unit.count(table)


class _Dropping:
    def __init__(self, workspace: Workspace, column: str, values: list[str]) -> None:
        self.workspace, self.column, self.values = workspace, column, values

    def __call__(self, row: dict[str, Any]) -> dict[str, int]:
        return {"dropped": drop_rows(self.workspace, row["shard"], self.column, self.values)}
