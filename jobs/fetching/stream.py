"""Fetches units of photos with Ray Data: a task fetches, checks and writes each; one actor detects duplicates."""

import pickle
from collections.abc import Iterator, Sequence

import pyarrow as pa
import ray
from ray.data import TaskPoolStrategy

from jobs.fetching.tasks import FetchUnit, drop_from
from jobs.runner.step import StepContext
from jobs.runner.stream import cut, unit_name
from showcases.gest.photos.images import Holders
from showcases.gest.photos.sources import Files, Source, Urls
from showcases.storage.artifacts import Workspace

FOREVER = -1  # restarts of the actor, which recovers its state from the shards; Ray repeats lost units


def fetch(context: StepContext, source: Source, photos: pa.Table) -> Iterator[dict[str, float]]:
    """Fetch photos; yields each unit's figures (see Tally) as its shard is written, unordered."""
    config, workspace = context.config.fetch_images, context.workspace
    if not photos.num_rows:
        return
    units = [
        {"shard": unit_name(row["photo_id"] for row in piece), "unit": pickle.dumps(list(piece))}
        for piece in cut(photos.to_pylist(), config.unit)
    ]
    holders = ray.remote(Holders).options(num_cpus=0, max_restarts=FOREVER, max_task_retries=FOREVER).remote(workspace)
    task = FetchUnit(workspace, source, config, photos.schema, holders)
    finished = ray.data.from_items(units, override_num_blocks=len(units)).map(
        task.__call__,
        num_cpus=1,
        compute=TaskPoolStrategy(min(config.http.tasks, len(units)) if isinstance(source, Urls) else None),
    )
    yield from finished.iter_rows()


def located(context: StepContext, source: Source, photos: pa.Table) -> pa.Table:
    """The photos with their locations, for file sources; indexes tars in parallel."""
    if not isinstance(source, Files):
        return photos
    index = ray.remote(Files.index)
    found, notes = source.located(photos, lambda tars: ray.get([index.remote(source, tar) for tar in tars]))
    for line in notes:
        context.say(line)
    return found


def drop(workspace: Workspace, column: str, values: Sequence[str]) -> int:
    """Delete the rows with one of these values from all shards; returns their number."""
    shards = [{"shard": path} for path in workspace.shards("images")]
    if not shards:
        return 0
    given = (workspace, column, list(values))
    dropped = ray.data.from_items(shards).map(drop_from, fn_args=given)  # type: ignore[arg-type] # maps single rows
    return int(sum(row["dropped"] for row in dropped.iter_rows()))
