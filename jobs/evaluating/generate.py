"""Generates texts for test examples with Ray Data actors, and embeds their sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from jobs.evaluating.writer_actor import GeneratingActor
from jobs.runner.step import StepContext
from showcases.baselines.ids import ItemReviews
from showcases.clip.embed import EmbedBatch
from showcases.evaluation.examples import Example, generator_rows, with_references
from showcases.evaluation.systems import GROUND_TRUTH, System, Written, stack_vectors
from showcases.gest.reading.sentences import split_sentences
from showcases.storage.artifacts import Place
from showcases.storage.embeddings import EmbeddingTable, review_features


def write_texts(
    context: StepContext,
    examples: Sequence[Example],
    images: EmbeddingTable,
    models: Mapping[System, Place],
    most_reviews: int,
) -> dict[System, Written]:
    """The ground truth, then each model's texts for the shown photos and up to `most_reviews` past reviews."""
    rows = generator_input(context, examples, images, most_reviews)
    texts = {(GROUND_TRUTH, 0): [example.explanation for example in examples]} | generate(context, rows, models)
    return cut_and_embed(context, texts, images.dim)


def generator_input(
    context: StepContext,
    examples: Sequence[Example],
    images: EmbeddingTable,
    most_reviews: int,
    others: ItemReviews | None = None,
) -> list[dict[str, Any]]:
    """Input rows of the models, one per example.

    Args:
        others: other users' reviews of each business; needed by baselines.
    """
    references = [others.seen_by(e.user_id, e.business_id) if others else [] for e in examples]
    past = {name for example in examples for name in example.history}.union(*references)
    features = review_features(EmbeddingTable.read(context.workspace, "sentence_embeddings"), sorted(past))
    rows = generator_rows(examples, images, features, most_reviews)
    return with_references(rows, examples, references, features, most_reviews, images.dim) if others else rows


def cut_and_embed(context: StepContext, texts: Mapping[System, list[str]], dim: int) -> dict[System, Written]:
    """Split texts into sentences and embed these."""
    sentences = {system: split_sentences(part) for system, part in texts.items()}
    vectors = embed_sentences(context, sorted({s for found in sentences.values() for part in found for s in part}))
    return {
        system: Written(part, sentences[system], stack_vectors(sentences[system], vectors, dim))
        for system, part in texts.items()
    }


def generate(
    context: StepContext, rows: Sequence[Mapping[str, Any]], models: Mapping[System, Place]
) -> dict[System, list[str]]:
    """Texts of all models, in row order."""
    folders = {"/".join(place): system for system, place in models.items()}
    data = ray.data.from_items([{**row, "folder": folder} for folder in folders for row in rows])
    written = _by_actors(context, data, GeneratingActor, context.config.evaluate.batch_size)
    texts = {system: [""] * len(rows) for system in models}
    for row in written.take_all():
        texts[folders[row["folder"]]][row["number"]] = row["text"]
    return texts


def embed_sentences(context: StepContext, sentences: list[str]) -> dict[str, np.ndarray]:
    """CLIP vector (d,) float32 of each sentence."""
    if not sentences:
        return {}
    dtype = context.workspace.require("sentence_embeddings").metrics.get("dtype", "float32")
    data = ray.data.from_arrow(pa.table({"id": sentences, "text": sentences}))
    embedded = _by_actors(context, data, EmbedBatch, context.config.embed.batch_size, dtype)
    return {row["id"]: np.asarray(row["vector"], np.float32) for row in embedded.take_all()}


def _by_actors(context: StepContext, data: ray.data.Dataset, actor: type, batch_size: int, *more: Any) -> Any:
    """Map the data with actors constructed from (root, device, *more)."""
    cluster = context.config.cluster
    return data.map_batches(
        actor,
        fn_constructor_args=(context.workspace.root, "cuda" if cluster.gpu else "cpu", *more),
        compute=ray.data.ActorPoolStrategy(size=cluster.encoders),
        num_gpus=1 if cluster.gpu else None,
        batch_size=batch_size,
        batch_format="numpy",
    )
