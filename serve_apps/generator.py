"""The deployment that writes: photos and past reviews to sentences, and which photos each sentence describes."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import serve

from serve_apps import models
from serve_apps.args import ShowcaseArgs
from serve_apps.selector import Selection
from showcases.generator import GeneratorPredictor
from showcases.generator.citations import cite
from showcases.gest.sentences import split_sentences


@dataclass(frozen=True)
class Written:
    """A sentence; `photos` are the ids of those that it describes, the rest as in `Citation`."""

    text: str
    photos: list[str]
    score: float

    @property
    def supported(self) -> bool:
        """Whether any photo shows what it says."""
        return bool(self.photos)


class Generator:
    """Writes in batches off the event loop."""

    def __init__(self, args: ShowcaseArgs, model: models.ModelRef) -> None:
        self.encoder = models.load_encoder(args)
        self.classifier = models.load_classifier(args)
        self.predictor = GeneratorPredictor(model.download())

    def reconfigure(self, options: dict[str, Any]) -> None:
        """Batch sizes, from config.yaml."""
        self.write.set_max_batch_size(options["max_batch_size"])  # type: ignore[attr-defined]
        self.write.set_batch_wait_timeout_s(options["batch_wait_s"])  # type: ignore[attr-defined]

    @serve.batch
    async def write(self, selections: list[Selection]) -> list[list[Written]]:
        """Write about each selection."""
        return await asyncio.to_thread(self.write_all, selections)

    async def ready(self) -> bool:
        """Answers once the models are loaded."""
        return True

    def write_all(self, selections: list[Selection]) -> list[list[Written]]:
        """Write about each selection, and cite the photos."""
        images, n_images = _padded([selection.vectors for selection in selections])
        reviews, n_reviews = _padded([selection.features for selection in selections])
        batch = {"images": images, "n_images": n_images, "reviews": reviews, "n_reviews": n_reviews}
        texts = split_sentences(self.predictor(batch)["text"])
        return [self._cite(sentences, selection) for sentences, selection in zip(texts, selections, strict=True)]

    def _cite(self, sentences: list[str], selection: Selection) -> list[Written]:
        if not sentences:
            return []
        scores = self.classifier.score_all(self.encoder.encode_text(sentences), selection.vectors)  # (m, n)
        citations = cite(scores, self.classifier.threshold)
        return [
            Written(text, [selection.photo_ids[number] for number in citation.photos], citation.score)
            for text, citation in zip(sentences, citations, strict=True)
        ]


def _padded(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, N, d) float32 and (B,) counts of B matrices (n, d); N is at least 1."""
    counts = np.array([len(part) for part in parts])
    padded = np.zeros((len(parts), max(1, counts.max()), parts[0].shape[1]), np.float32)
    for row, part in enumerate(parts):
        padded[row, : counts[row]] = part
    return padded, counts
