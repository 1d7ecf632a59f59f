"""fetch_images: the photos' bytes into Parquet shards, each checked by decoding it; nothing vanishes."""

from collections import Counter

import pyarrow.parquet as pq
import ray
from pyarrow import fs

from jobs.config import PipelineConfig
from jobs.step import Step, StepContext, main
from showcases.artifacts import Workspace
from showcases.errors import ConfigError, ShowcasesError
from showcases.gest.fetch import PhotoReader, open_folder


def fetch_images(context: StepContext) -> None:
    config, workspace = context.config, context.workspace
    if config.corpus.photos is None:
        raise ConfigError("no photos: give the folder of <photo id>.jpg with --photos FOLDER")
    filesystem, root = open_folder(config.corpus.photos)
    if filesystem.get_file_info(root).type != fs.FileType.Directory:
        raise ConfigError(f"{config.corpus.photos}: no such folder; --photos is a folder of <photo id>.jpg")
    names = workspace.read_table("photos", ["photo_id"])
    dataset = ray.data.from_arrow(names).repartition(max(1, min(200, names.num_rows // 500)))
    folder = config.corpus.photos if "://" in config.corpus.photos else root
    read = dataset.map_batches(
        PhotoReader(folder, config.fetch_images.max_side).__call__, batch_format="numpy", batch_size=500
    )
    read.write_parquet(workspace.path("images"), filesystem=workspace.filesystem)
    count_statuses(context, names.num_rows)


def count_statuses(context: StepContext, expected: int) -> None:
    """Count what became of the photos.

    Raises:
        ShowcasesError: rows are missing, or more failed than the config allows.
    """
    statuses = _read_statuses(context.workspace)
    counts = Counter(statuses)
    if len(statuses) != expected:
        raise ShowcasesError(f"images: {len(statuses)} rows for {expected} photos; run jobs.fetch_images with --force")
    context.say("photos: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    failures = {status: count for status, count in counts.items() if status != "ok"}
    context.record("images", {"ok": counts["ok"]}, failures)
    share = (expected - counts["ok"] - counts["expired"]) / max(1, expected)
    if share > context.config.fetch_images.max_failed or not counts["ok"]:
        raise ShowcasesError(
            f"{share:.0%} of {expected} photos failed ({dict(counts)}); is --photos the right folder? "
            "fetch_images.max_failed sets what is accepted"
        )


def _read_statuses(workspace: Workspace) -> list[str]:
    shards = workspace.shards("images")
    return pq.ParquetDataset(shards, filesystem=workspace.filesystem).read(["status"])["status"].to_pylist()


def _inputs(config: PipelineConfig) -> dict[str, str]:
    return {"photos folder": config.corpus.photos or ""}


STEP = Step(
    name="fetch_images",
    reads=("photos",),
    writes=("images",),
    sections=("fetch_images",),
    run=fetch_images,
    corpus=True,
    inputs=_inputs,
)

if __name__ == "__main__":
    main(STEP)
