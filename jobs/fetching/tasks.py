"""Worker code of fetch_images; separate and light, since each worker imports it."""

import pickle
from typing import Any

import pyarrow as pa
import ray

from showcases.gest.config import FetchConfig
from showcases.gest.photos.fetch import fetch_unit
from showcases.gest.photos.images import drop_rows
from showcases.gest.photos.sources import Source
from showcases.storage.artifacts import Workspace


class FetchUnit:
    """Fetches a unit of photos and writes its shard.

    Args:
        schema: of a unit's rows: photo_id, url, and the source's own columns.
        holders: actor of showcases.gest.photos.images.Holders.
    """

    def __init__(
        self, workspace: Workspace, source: Source, config: FetchConfig, schema: pa.Schema, holders: Any
    ) -> None:
        self.workspace, self.source, self.config = workspace, source, config
        self.schema, self.holders = schema, holders

    def __call__(self, row: dict[str, Any]) -> dict[str, float]:
        wanted = pa.Table.from_pylist(pickle.loads(row["unit"]), schema=self.schema)
        unit = fetch_unit(self.source, wanted, self.config.max_side, self.config.max_pixels)
        table = unit.table(ray.get(self.holders.claim.remote(unit.contents)))
        self.workspace.write_table(table, "images", row["shard"])
        return unit.count(table)


def drop_from(row: dict[str, Any], workspace: Workspace, column: str, values: list[str]) -> dict[str, int]:
    """Delete the rows with one of these values from a shard."""
    return {"dropped": drop_rows(workspace, row["shard"], column, values)}
