"""distill: the classifier from the annotations (paper section 3.3), then its score for every pair, by Ray Data."""

import pyarrow.dataset
import ray

from jobs.scoring import ScoringActor
from jobs.step import Step, StepContext, main
from showcases.distillation.annotations import ReviewPairs, review_pairs
from showcases.distillation.scoring import pairs_table
from showcases.distillation.training import train_from_workspace
from showcases.embeddings import EmbeddingTable
from showcases.errors import ShowcasesError

REVIEWS_PER_BATCH = 256


def distill(context: StepContext) -> None:
    workspace = context.workspace
    config = context.config.distill
    files, metrics, history = ray.get(ray.remote(num_cpus=1)(train_from_workspace).remote(workspace.root, config))
    for epoch in history:
        context.tracker.log_metrics({f"classifier/{k}": v for k, v in epoch.items()}, step=int(epoch["epoch"]))
    for name, data in files.items():
        workspace.write_bytes(data, "classifier", name)
    agreement = workspace.require("annotations").metrics
    told = "labels by people" if agreement["source"] == "people" else "weak labels that no person made"
    context.say(
        f"classifier on the {metrics['n']} test pairs ({told}): AUC {metrics['auc']:.3f}, F1 {metrics['f1']:.3f} "
        f"(paper, on its own labels: 0.97, 0.71)"
    )
    context.record("classifier", {"parameters": int(metrics.pop("parameters"))}, metrics={**metrics, **agreement})
    reviews = score_pairs(context)
    count_pairs(context, reviews)


def score_pairs(context: StepContext) -> list[ReviewPairs]:
    """Stream all reviews through the scorers into `alignments`."""
    workspace, cluster = context.workspace, context.config.cluster
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings")
    photos = EmbeddingTable.read(workspace, "image_embeddings")
    reviews = review_pairs(workspace.read_table("reviews"), sentences.ids, photos.ids)
    vectors = {"sentences": ray.put(sentences.vectors), "photos": ray.put(photos.vectors)}
    rows = ray.data.from_arrow(pairs_table(reviews, sentences, photos))
    rows.repartition(max(1, len(reviews) // (4 * REVIEWS_PER_BATCH))).map_batches(
        ScoringActor,
        fn_constructor_args=(workspace.root, vectors, photos.model_id),
        compute=ray.data.ActorPoolStrategy(size=cluster.encoders),
        batch_size=REVIEWS_PER_BATCH,
        batch_format="numpy",
    ).write_parquet(workspace.path("alignments"), filesystem=workspace.filesystem)
    return reviews


def count_pairs(context: StepContext, reviews: list[ReviewPairs]) -> None:
    """Check that every pair has a score.

    Raises:
        ShowcasesError: some have none.
    """
    workspace = context.workspace
    shards = pyarrow.dataset.dataset(workspace.shards("alignments"), filesystem=workspace.filesystem)
    found, expected = shards.count_rows(), sum(len(review) for review in reviews)
    if found != expected:
        raise ShowcasesError(f"alignments: {found} pairs, {expected} expected; run jobs.distill with --force")
    unpaired = workspace.require("reviews").rows.get("reviews", 0) - len(reviews)
    context.say(f"scored {expected} pairs of {len(reviews)} reviews; {unpaired} reviews have nothing to pair")
    context.record("alignments", {"pairs": expected, "reviews": len(reviews)}, {"nothing_to_pair": unpaired})


STEP = Step(
    name="distill",
    reads=("annotations", "reviews", "image_embeddings", "sentence_embeddings"),
    writes=("classifier", "alignments"),
    sections=("distill",),
    run=distill,
)

if __name__ == "__main__":
    main(STEP)
