"""build_gest: the datasets that selector and generator are trained on, and their figures."""

from jobs.step import Step, StepContext, main
from showcases.embeddings import EmbeddingTable
from showcases.gest.build import build_gest


def run(context: StepContext) -> None:
    workspace = context.workspace
    gest = build_gest(
        workspace.read_table("reviews"),
        workspace.read_table("photos"),
        workspace.read_table("alignments"),
        EmbeddingTable.read(workspace, "image_embeddings"),
        context.config.build_gest,
    )
    for artifact, table in (("gest_s1", gest.s1), ("gest_s2", gest.s2), ("gest_ft", gest.ft)):
        workspace.write_table(table, artifact)
        context.say(f"{artifact}: {table.num_rows} rows")
    for reason, count in gest.left_out.items():
        context.say(f"left out {count}: {reason}")
    by_set = {name: {k: v for k, v in gest.left_out.items() if k.startswith(name)} for name in ("s1", "s2")}
    context.record("gest_s1", {"reviews": gest.s1.num_rows}, by_set["s1"], gest.statistics)
    context.record("gest_s2", {"reviews": gest.s2.num_rows}, by_set["s2"])
    context.record("gest_ft", {"reviews": gest.ft.num_rows})


STEP = Step(
    name="build_gest",
    reads=("reviews", "photos", "image_embeddings", "alignments"),
    writes=("gest_s1", "gest_s2", "gest_ft"),
    sections=("build_gest",),
    run=run,
)

if __name__ == "__main__":
    main(STEP)
