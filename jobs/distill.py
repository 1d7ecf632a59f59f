"""distill: trains the pair classifier Φ on the annotations (paper section 3.3), then scores every pair.

Scoring is partitioned by review: each vector is read once, shuffled to its review's partition, and loaded once there;
only the pairs' scores are written.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow.compute as pc
import ray
import safetensors.numpy

from jobs.distilling.partitioning import count_partitions, deal_out, deal_units
from jobs.distilling.scoring import PHOTOS, REVIEWS, SENTENCES, PartitionScorer, score_partition, shard_name
from jobs.runner.execute import main
from jobs.runner.step import Step, StepContext
from jobs.runner.stream import Tally, follow
from jobs.runner.work_cost import cost_of
from showcases.distillation.config import CHANCE_CAUSES
from showcases.distillation.shuffle import Shuffle
from showcases.distillation.training import train_from_workspace
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.shards import read_shards

WHOSE = {
    "people": "human labels",
    "people+weak": "human labels; trained on weak ones, too",
    "weak": "weak labels, not human ones",
}
METRICS = "metrics.json"  # written last: marks the classifier as complete


def distill(context: StepContext) -> None:
    train(context)
    score_pairs(context)


def train(context: StepContext) -> None:
    """Train the classifier, unless an interrupted run has done so."""
    workspace = context.workspace
    if not is_trained(workspace):
        task = ray.remote(num_cpus=1)(train_from_workspace)
        files, _, history = ray.get(task.remote(workspace.root, context.config.distill))
        for epoch in history:
            context.tracker.log_metrics({f"classifier/{k}": v for k, v in epoch.items()}, step=int(epoch["epoch"]))
        for name in sorted(files, key=lambda name: name == METRICS):
            workspace.write_bytes(files[name], "classifier", name)
    metrics = json.loads(workspace.read_bytes("classifier", METRICS))
    weights = safetensors.numpy.load(workspace.read_bytes("classifier", "model.safetensors"))
    agreement = workspace.require("annotations").metrics
    source = WHOSE[agreement["source"]]
    context.say(
        f"classifier on the {metrics['n']} test pairs ({source}): AUC {metrics['auc']:.3f}, F1 {metrics['f1']:.3f} "
        f"(paper, on its own labels: 0.97, 0.71)"
    )
    context.warn_of_chance("classifier", metrics, CHANCE_CAUSES)
    parameters = sum(array.size for array in weights.values())
    context.record("classifier", {"parameters": parameters}, metrics={**metrics, **agreement})


def is_trained(workspace: Workspace) -> bool:
    """Whether this build's classifier is complete."""
    return workspace.find_json("classifier", METRICS) is not None


def score_pairs(context: StepContext) -> None:
    """Score every partition that has no shard yet."""
    workspace = context.workspace
    shuffle = Shuffle(workspace, "alignments", count_partitions(workspace))
    shards = {shard_name(number, shuffle.partitions): number for number in range(shuffle.partitions)}
    done = {path.rpartition("/")[2] for path in workspace.shards("alignments")}
    for name in done - set(shards):  # from a release with other partitions
        workspace.filesystem.delete_file(workspace.path("alignments", name))
    done &= set(shards)
    left = [number for name, number in shards.items() if name not in done]
    if done:
        context.say(f"{len(done)} of {len(shards)} partitions already done, resuming")
    units = deal_units(workspace) if left and shuffle.partitions > 1 else []
    dealt = deal_out(context, shuffle, units)
    scored = follow(scoring(context, shuffle, units, left), len(left), "partitions", context.say)
    check(dealt, scored, workspace, fresh=not done and len(units) == dealt.rows > 0)
    record(context, shuffle.partitions, dealt, scored)
    shuffle.clear()


def scoring(
    context: StepContext, shuffle: Shuffle, units: Sequence[dict[str, Any]], left: Sequence[int]
) -> Iterable[dict[str, Any]]:
    """Score the remaining partitions with actors; yields each one's figures as it finishes."""
    if not left:
        return ()
    files: dict[str, Sequence[str]] = {"reviews": [REVIEWS]}
    files |= {name: [u["name"] for u in units if u["artifact"] == name] for name in (SENTENCES, PHOTOS)}
    if len(left) == 1:  # a task reuses the warm process of the training; an actor would start a new one
        return (ray.get(score_partition.remote(shuffle, files, number)) for number in left)
    rows = [{"partition": number} for number in left]
    return (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map(
            PartitionScorer,  # type: ignore[arg-type]
            fn_constructor_args=(shuffle, files),
            compute=ray.data.ActorPoolStrategy(size=min(context.config.cluster.encoders, len(rows))),
        )
        .iter_rows()
    )


def check(dealt: Tally, scored: Tally, workspace: Workspace, fresh: bool) -> None:
    """Check that the shuffle lost no vector.

    Raises:
        ShowcasesError: it did.
    """
    there = sum(len(EmbeddingShards(workspace, name)) for name in (SENTENCES, PHOTOS))
    read, gone = (dealt.amounts.get(name, 0.0) for name in ("vectors_read", "vectors_dealt"))
    come = scored.amounts.get("vectors_loaded", 0.0)
    if fresh and (read != there or gone != come):
        raise ShowcasesError(
            f"alignments: {there} vectors, {read:.0f} read, {gone:.0f} shuffled, {come:.0f} loaded; "
            "run jobs.distill with --force"
        )


def record(context: StepContext, partitions: int, dealt: Tally, scored: Tally) -> None:
    """Record counts of all partitions, and this run's costs."""
    workspace = context.workspace
    shards = read_shards(workspace, workspace.shards("alignments"), ["review_id"])
    counts = [(shard.num_rows, pc.count_distinct(shard["review_id"]).as_py()) for shard in shards]
    pairs, reviews = (sum(column) for column in zip(*counts, strict=True))  # each review is in one shard
    unpaired = workspace.require("reviews").rows.get("reviews", 0) - reviews
    context.say(f"scored {pairs} pairs of {reviews} reviews; {unpaired} reviews have nothing to pair")
    scored.rows = int(scored.amounts.get("pairs", 0))  # costs are per pair
    figures: dict[str, Any] = {"partitions": partitions, "scored": cost_of(scored, context.config.cluster)}
    if dealt.rows:
        dealt.rows = int(dealt.amounts["vectors_dealt"])
        figures["dealt"] = cost_of(dealt, context.config.cluster)
    context.record("alignments", {"pairs": pairs, "reviews": reviews}, {"nothing_to_pair": unpaired}, figures)


STEP = Step(
    name="distill",
    reads=("annotations", "reviews", "image_embeddings", "sentence_embeddings"),
    writes=("classifier", "alignments"),
    sections=("distill",),
    run=distill,
    resumes=True,
)

if __name__ == "__main__":
    main(STEP)
