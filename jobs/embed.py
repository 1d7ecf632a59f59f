"""embed: encodes every photo and sentence into Parquet shards; streaming, resumable by row."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from jobs.embedding.encode import bottleneck, encode, fast_dtype, split_by_artifact
from jobs.embedding.units import Plan, plan_photos, plan_sentences
from jobs.runner.execute import main
from jobs.runner.needs import embed_needs
from jobs.runner.step import Step, StepContext
from jobs.runner.stream import Tally, done_ids, follow, unit_name
from jobs.runner.work_cost import cluster_holds, cost_of, describe_cost
from showcases.clip.config import Dtype, image_size
from showcases.clip.units import FAILURES, PHOTOS, SENTENCES, failures_table
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace

MAX_PIXEL_BYTES = 64 * 2**20  # of one unit
DTYPE_FILE = (PHOTOS, "_dtype.json")  # artifact and file


def embed(context: StepContext) -> None:
    """Embed the rows that are in no shard yet, then check for missing and duplicate rows."""
    size = photo_size(context.workspace)
    plans = make_plans(context, size)
    write_orphans(context.workspace, plans[PHOTOS].orphans)
    dtype = chosen_dtype(context)
    tallies = stream(context, plans, size, dtype)
    check(context.workspace, plans)
    record(context, plans, tallies, dtype)


def photo_size(workspace: Workspace) -> int:
    """Image side that `clip` encodes, px."""
    return workspace.load(image_size, "clip")


def make_plans(context: StepContext, size: int) -> dict[str, Plan]:
    workspace, config = context.workspace, context.config.embed
    photos = max(1, min(config.photos_per_unit, MAX_PIXEL_BYTES // (3 * size * size)))
    done = pa.chunked_array([done_ids(workspace, name, "id") for name in (PHOTOS, FAILURES)]).combine_chunks()
    plans = {
        PHOTOS: plan_photos(workspace, done, photos),
        SENTENCES: plan_sentences(workspace, done_ids(workspace, SENTENCES, "id"), config.sentences_per_unit),
    }
    for artifact, plan in plans.items():
        finished = len(plan.ids) - plan.left - len(plan.orphans)
        if finished and plan.left:
            context.say(f"{artifact}: {finished:,} of {len(plan.ids):,} already done, resuming")
    return plans


def chosen_dtype(context: StepContext) -> Dtype:
    """The dtype of all vectors; stored beside them, so that a resumed run on another machine uses the same."""
    workspace, config = context.workspace, context.config
    if config.embed.dtype != "auto":
        return config.embed.dtype
    if (found := workspace.find_json(*DTYPE_FILE)) is not None:
        return found["dtype"]  # type: ignore[no-any-return]
    dtype = fast_dtype(config.cluster)
    workspace.write_json({"dtype": dtype}, *DTYPE_FILE)
    context.say(f"encoding in {dtype}; --embed.dtype sets another")
    return dtype


def write_orphans(workspace: Workspace, orphans: Sequence[str]) -> None:
    """Record duplicates whose original is missing as failures; an empty table if there are none."""
    rows = [(name, "orphan", "no row with status ok has the bytes of the original") for name in orphans]
    workspace.write_table(failures_table(rows), FAILURES, unit_name(orphans))


def stream(context: StepContext, plans: dict[str, Plan], size: int, dtype: Dtype) -> dict[str, Tally]:
    """Embed both artifacts in one stream, photos first, so that encoders are loaded once."""
    config, cpus = context.config, cluster_holds()["cpus"]
    units = [unit for artifact in (PHOTOS, SENTENCES) for unit in plans[artifact].units]
    rows = encode(units, context.workspace, size, dtype, config.embed.batch_size, config.cluster)
    parts = split_by_artifact(rows, {artifact: len(plan.units) for artifact, plan in plans.items()})

    def note(tally: Tally) -> str:
        return bottleneck(tally, config.cluster.encoders, cpus)

    tallies = {
        PHOTOS: follow(parts[PHOTOS], plans[PHOTOS].left, "photos", context.say, note),
        SENTENCES: follow(parts[SENTENCES], plans[SENTENCES].left, "sentences", context.say),
    }
    for _ in rows:  # exhausted: lets Ray Data finish
        pass
    return tallies


def check(workspace: Workspace, plans: dict[str, Plan]) -> None:
    """Check that every ok photo and every sentence occurs exactly once, as a vector or a failure.

    Raises:
        ShowcasesError: an id is missing, duplicate or unknown.
    """
    failed = done_ids(workspace, FAILURES, "id")
    for artifact, more in ((PHOTOS, failed), (SENTENCES, failed[:0])):
        expected = plans[artifact].ids
        found = pa.chunked_array([done_ids(workspace, artifact, "id"), more]).combine_chunks()
        distinct = pc.count_distinct(found).as_py() if len(found) else 0
        known = pc.sum(pc.is_in(found, value_set=expected)).as_py() or 0
        if not len(found) == distinct == known == len(expected):
            raise ShowcasesError(
                f"{workspace.path(artifact)}: {distinct} ids in {len(found)} rows, {known} of them among the "
                f"{len(expected)} expected. Run jobs.embed with --force"
            )


def record(context: StepContext, plans: dict[str, Plan], tallies: dict[str, Tally], dtype: Dtype) -> None:
    """Record counts, this run's costs and the dtype for the manifests and MLflow."""
    kinds = Counter(done_ids(context.workspace, FAILURES, "kind").to_pylist())
    for artifact, noun in ((PHOTOS, "photos"), (SENTENCES, "sentences")):
        failures = dict(kinds) if artifact == PHOTOS else {}
        vectors = len(plans[artifact].ids) - sum(failures.values())
        figures = cost_of(tallies[artifact], context.config.cluster)
        context.record(artifact, {"vectors": vectors}, failures, figures | {"dtype": dtype})
        failed = ", ".join(f"{count:,} {kind}" for kind, count in failures.items())
        context.say(f"{artifact}: {vectors:,} vectors" + (f", failed: {failed}" if failed else ""))
        if tallies[artifact].rows:
            context.say(f"{noun}: {describe_cost(figures, noun)}")
    context.record(FAILURES, {"photos": sum(kinds.values())}, dict(kinds))


STEP = Step(
    name="embed",
    reads=("images", "reviews", "clip"),
    writes=(PHOTOS, SENTENCES, FAILURES),
    sections=("embed",),
    run=embed,
    resumes=True,
    execution_options=("embed.photos_per_unit", "embed.sentences_per_unit"),
    needs=embed_needs,
)

if __name__ == "__main__":
    main(STEP)
