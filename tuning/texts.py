"""What a trial's model writes for validation examples, judged by three figures that pull in different directions.

BLEU-1 asks for the user's own words, CLIP-Align for words about the photos, Distinct-2 for words that are not always
the same. Test examples stay unseen: a sweep chooses by these figures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from showcases.clip.embed import EmbedBatch
from showcases.distillation import PairClassifier
from showcases.evaluation.examples import Example, generator_rows
from showcases.evaluation.systems import stack_vectors
from showcases.generator import GeneratorPredictor
from showcases.gest.reading.sentences import split_sentences
from showcases.metrics.alignment import alignment_figures
from showcases.metrics.text import bleu, distinct
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable, review_features
from tuning.kinds import SCORE, TEXT_FIGURES

BATCH = 32  # examples


def text_figures(root: str, model: Path, most: int, seed: int, device: str = "cpu") -> dict[str, float]:
    """TEXT_FIGURES, and their product, on at most `most` validation examples; all 0 to 1.

    Photos are those of the user's own review, so that the selector plays no part.

    Args:
        model: folder of the generator.
        seed: of the examples that are drawn; the same for all trials.
    """
    workspace = Workspace(root)
    images = EmbeddingTable.read(workspace, "image_embeddings")
    predictor = GeneratorPredictor(model, device=device)
    examples = validation_examples(workspace, images, predictor.model.config.max_images, most, seed)
    texts = _write(workspace, predictor, examples, images)
    cut = split_sentences(texts)
    vectors = stack_vectors(cut, _embedded(workspace, cut, device), images.dim)
    classifier = workspace.load(PairClassifier.from_pretrained, "classifier")
    photos = [images.gather(example.shown) for example in examples]
    figures = [
        bleu(texts, [example.explanation for example in examples], 1),
        alignment_figures(vectors, photos, classifier)["CLIP-Align"],
        distinct(texts, 2),
    ]
    values = [float(figure.value or 0.0) for figure in figures]
    return {**dict(zip(TEXT_FIGURES, values, strict=True)), SCORE: float(np.prod(values))}


def validation_examples(
    workspace: Workspace, images: EmbeddingTable, most_photos: int, most: int, seed: int
) -> list[Example]:
    """Rows of GEST-s2's validation split with an embedded photo, at most `most`, drawn by seed."""
    rows = workspace.read_table("gest_s2").filter(pc.field("split") == "val").to_pylist()
    known = set(images.ids)
    found = [
        Example.of(row, [photo for photo in row["photo_ids"] if photo in known][:most_photos])
        for row in rows
        if row["explanation"] and any(photo in known for photo in row["photo_ids"])
    ]
    order = np.random.default_rng([seed, 3]).permutation(len(found))[:most]
    return [found[number] for number in sorted(order)]


def _write(
    workspace: Workspace, predictor: GeneratorPredictor, examples: Sequence[Example], images: EmbeddingTable
) -> list[str]:
    past = sorted({name for example in examples for name in example.history})
    features = review_features(EmbeddingTable.read(workspace, "sentence_embeddings"), past)
    rows = generator_rows(examples, images, features, predictor.model.config.max_reviews)
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    stacked = ({name: np.stack([row[name] for row in batch]) for name in batch[0]} for batch in batches)
    return [text for batch in stacked for text in predictor(batch)["text"]]


def _embedded(workspace: Workspace, cut: Sequence[Sequence[str]], device: str) -> dict[str, np.ndarray]:
    sentences = sorted({sentence for text in cut for sentence in text})
    if not sentences:
        return {}
    dtype = workspace.require("sentence_embeddings").metrics.get("dtype", "float32")
    table = EmbedBatch(workspace.root, device, dtype)({"id": np.array(sentences), "text": np.array(sentences)})
    vectors = np.stack(table["vector"].to_numpy()).astype(np.float32)
    return dict(zip(table["id"].to_pylist(), vectors, strict=True))
