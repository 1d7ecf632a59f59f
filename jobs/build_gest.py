"""build_gest: builds the datasets that selector and generator are trained on, with statistics."""

import pyarrow as pa

from jobs.runner.execute import main
from jobs.runner.step import Step, StepContext
from showcases.gest.building.datasets import build_gest
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.schemas import ALIGNMENTS, REVIEWS
from showcases.storage.shards import read_shards


def run(context: StepContext) -> None:
    workspace = context.workspace
    gest = build_gest(
        workspace.read_table("reviews", [name for name in REVIEWS.names if name != "rating"]),
        workspace.read_table("photos", ["photo_id", "user_id", "business_id"]),
        best_scores(workspace),
        EmbeddingShards(workspace, "image_embeddings"),
        context.config.build_gest,
    )
    for artifact, table in (("gest_s1", gest.s1), ("gest_s2", gest.s2), ("gest_ft", gest.ft)):
        workspace.write_table(table, artifact)
        context.say(f"{artifact}: {table.num_rows} rows")
    for reason, count in gest.left_out.items():
        context.say(f"skipped {count}: {reason}")
    by_set = {name: {k: v for k, v in gest.left_out.items() if k.startswith(name)} for name in ("s1", "s2")}
    context.record("gest_s1", {"reviews": gest.s1.num_rows}, by_set["s1"], gest.statistics)
    context.record("gest_s2", {"reviews": gest.s2.num_rows}, by_set["s2"])
    context.record("gest_ft", {"reviews": gest.ft.num_rows})


def best_scores(workspace: Workspace) -> pa.Table:
    """sentence_id and its best pair score; reads shard by shard, as all pairs of GEST are 2.5 GB."""
    workspace.require("alignments")
    schema = pa.schema([ALIGNMENTS.field("sentence_id"), ALIGNMENTS.field("score")])
    best = [schema.empty_table()]
    for shard in read_shards(workspace, workspace.shards("alignments"), schema.names):
        by_sentence = shard.group_by("sentence_id").aggregate([("score", "max")])
        best.append(by_sentence.rename_columns(schema.names).cast(schema))
    return pa.concat_tables(best)


STEP = Step(
    name="build_gest",
    reads=("reviews", "photos", "image_embeddings", "alignments"),
    writes=("gest_s1", "gest_s2", "gest_ft"),
    sections=("build_gest",),
    run=run,
)

if __name__ == "__main__":
    main(STEP)
