"""distill: the classifier from the annotations (paper section 3.3), then its score for every pair, by Ray Data."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import ray

from jobs.step import Step, StepContext, main
from showcases.artifacts import Workspace
from showcases.distillation.annotations import ReviewPairs, review_pairs
from showcases.distillation.config import DistillConfig
from showcases.distillation.scoring import PairScorer, pairs_table
from showcases.distillation.training import train_classifier
from showcases.embeddings import EmbeddingTable
from showcases.errors import ShowcasesError

REVIEWS_PER_BATCH = 256


class ScoringActor:
    """A PairScorer on a worker: the model from the workspace, the vectors from Ray's shared memory."""

    def __init__(self, root: str, vectors: dict[str, ray.ObjectRef], embedding_space: str) -> None:
        sentences, photos = ray.get([vectors["sentences"], vectors["photos"]])
        with tempfile.TemporaryDirectory() as folder:
            Workspace(root).download("classifier", Path(folder))
            self.scorer = PairScorer(folder, sentences, photos, embedding_space)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.scorer(batch)


def distill(context: StepContext) -> None:
    workspace = context.workspace
    config = context.config.distill
    files, metrics, history = ray.get(ray.remote(num_cpus=1)(train_task).remote(workspace.root, config))
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
    context.record("classifier", {"parameters": metrics.pop("parameters")}, metrics={**metrics, **agreement})
    reviews = score_pairs(context)
    count_pairs(context, reviews)


def train_task(root: str, config: DistillConfig) -> tuple[dict[str, bytes], dict[str, Any], list[dict[str, float]]]:
    """On a worker: train, and return the model's files, the test metrics, the metrics of each epoch."""
    workspace = Workspace(root)
    history: list[dict[str, float]] = []
    model, metrics = train_classifier(
        workspace.read_table("annotations"),
        EmbeddingTable.read(workspace, "sentence_embeddings"),
        EmbeddingTable.read(workspace, "image_embeddings"),
        config,
        lambda figures, _: history.append(figures),
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(Path(folder))
        (Path(folder) / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return files, {**metrics, "parameters": sum(p.numel() for p in model.parameters())}, history


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
