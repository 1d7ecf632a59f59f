"""embed: every photo and every sentence through the encoder, streamed by Ray Data, out as Parquet shards."""

from typing import Any

import pyarrow as pa
import ray

from jobs.step import Step, StepContext, main
from showcases.artifacts import Workspace
from showcases.clip.embed import EmbedBatch
from showcases.errors import ShowcasesError


def embed(context: StepContext) -> None:
    workspace = context.workspace
    ok = ray.data.read_parquet(
        workspace.shards("images"), filesystem=workspace.filesystem, columns=["photo_id", "bytes", "status"]
    )
    photos = ok.map_batches(_good_photos, batch_format="pyarrow", batch_size=None)
    sentences = ray.data.from_arrow(sentence_table(workspace))
    for artifact, data, size in (("image_embeddings", photos, None), ("sentence_embeddings", sentences, 2000)):
        if size is not None:
            data = data.repartition(max(1, data.count() // size))
        run_encoder(context, data, artifact)
        count_vectors(context, artifact)


def run_encoder(context: StepContext, data: Any, artifact: str) -> None:
    """Stream `data` (id, and bytes or text) through the encoders into an artifact."""
    config, workspace = context.config, context.workspace
    vectors = data.map_batches(
        EmbedBatch,
        fn_constructor_args=(workspace.root, "cuda" if config.cluster.gpu else "cpu", config.embed.bf16),
        compute=ray.data.ActorPoolStrategy(size=config.cluster.encoders),
        num_gpus=1 if config.cluster.gpu else None,
        batch_size=config.embed.batch_size,
        batch_format="numpy",
    )
    vectors.write_parquet(workspace.path(artifact), filesystem=workspace.filesystem)


def sentence_table(workspace: Workspace) -> pa.Table:
    """One row a sentence: id, text."""
    reviews = workspace.read_table("reviews", ["review_id", "sentences"]).to_pylist()
    rows = [(f"{row['review_id']}:{i}", text) for row in reviews for i, text in enumerate(row["sentences"])]
    return pa.table({"id": [name for name, _ in rows], "text": [text for _, text in rows]})


def count_vectors(context: StepContext, artifact: str) -> None:
    """Check that every photo that is ok, or every sentence, has one vector.

    Raises:
        ShowcasesError: one is missing or there twice.
    """
    workspace = context.workspace
    table = _read_ids(workspace, artifact)
    if artifact == "image_embeddings":
        expected = workspace.require("images").rows["ok"]
    else:
        expected = sentence_table(workspace).num_rows
    if len(table) != expected or len(set(table)) != expected:
        raise ShowcasesError(
            f"{artifact}: {len(set(table))} ids in {len(table)} rows, {expected} expected; run jobs.embed with --force"
        )
    context.say(f"{artifact}: {expected} vectors")
    context.record(artifact, {"vectors": expected})


def _good_photos(table: pa.Table) -> pa.Table:
    kept = table.filter(pa.array([status == "ok" for status in table["status"].to_pylist()], pa.bool_()))
    return kept.select(["photo_id", "bytes"]).rename_columns(["id", "bytes"])


def _read_ids(workspace: Workspace, artifact: str) -> list[str]:
    dataset = ray.data.read_parquet(workspace.shards(artifact), filesystem=workspace.filesystem, columns=["id"])
    return [row["id"] for row in dataset.take_all()]


STEP = Step(
    name="embed",
    reads=("images", "reviews", "clip"),
    writes=("image_embeddings", "sentence_embeddings"),
    sections=("embed",),
    run=embed,
)

if __name__ == "__main__":
    main(STEP)
