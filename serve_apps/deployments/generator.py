"""The generator deployment: photos and past reviews to sentences, with citations of the photos they describe."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_apps.args import ShowcaseArgs
from serve_apps.deployments.batching import Batches
from serve_apps.deployments.device import torch_device
from serve_apps.deployments.lookup import Selection
from serve_apps.deployments.model_cache import ModelCache, group_by_model
from serve_apps.observability import metrics, replica
from serve_apps.observability.context import RequestContext
from serve_apps.rollout import models
from serve_apps.rollout.models import ModelRef
from serve_apps.rollout.registry import weights
from serve_apps.terms import Tone
from showcases.generator import GeneratorPredictor
from showcases.generator.citations import cite, keep_supported
from showcases.generator.rules import mentions
from showcases.gest.reading.sentences import split_sentences


@dataclass(frozen=True)
class TextOptions:
    """Options of a text; see `serve_apps.api.requests.TextFields`."""

    n: int = 1
    seed: int = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tone: Tone = "own"
    supported_only: bool = False


@dataclass(frozen=True)
class CitedSentence:
    """A sentence with the ids of the photos it describes; see `Citation`."""

    text: str
    photos: list[str]
    score: float

    @property
    def supported(self) -> bool:
        """Whether any photo supports it."""
        return bool(self.photos)


@dataclass(frozen=True)
class Draft:
    """One generated text.

    Attributes:
        unsupported: number of sentences dropped because no photo supports them.
        missing: words of `include` that the text doesn't contain.
    """

    sentences: list[CitedSentence]
    unsupported: int
    missing: list[str]


class Generator:
    """Generates texts in batches, off the event loop."""

    def __init__(self, args: ShowcaseArgs, model: ModelRef) -> None:
        self.args = args
        replica.install(args.operations, "Generator")
        self.device = torch_device(args.device)
        self.encoder = models.load_encoder(args, self.device)
        self.classifier = models.load_classifier(args, self.device)
        self.versions = ModelCache(self.load)
        self.versions.put(model, self.load(model))
        run = replica.in_batch("write", self.write_all)
        self._batches: Batches[
            tuple[GeneratorPredictor, replica.Queued[tuple[Selection, TextOptions]]], list[Draft]
        ] = Batches(lambda wanted: group_by_model(wanted, run))

    def reconfigure(self, options: dict[str, Any]) -> None:
        """Apply `user_config` of config.yaml."""
        replica.lower_priority(options["niceness"])
        self._batches.max_size = options["max_batch_size"]

    def load(self, model: ModelRef) -> GeneratorPredictor:
        """Load a version and warm it up with one text."""
        with weights(self.args, model) as folder:
            predictor = GeneratorPredictor(folder, device=self.device, precision=self.args.precision)
        inside = predictor.model
        images = np.full((1, 1, inside.image_dim), inside.image_dim**-0.5, np.float32)
        reviews = np.full((1, 1, inside.text_dim), inside.text_dim**-0.5, np.float32)
        one = np.array([1])
        predictor({"images": images, "n_images": one, "reviews": reviews, "n_reviews": one})
        return predictor

    async def ensure(self, model: ModelRef) -> None:
        """Return once this version is loaded and warm."""
        await self.versions.get(model)

    async def write(
        self, selection: Selection, options: TextOptions, model: ModelRef, context: RequestContext
    ) -> list[Draft]:
        """`options.n` drafts by this version, best first."""
        with replica.call("write", context, model.version):
            predictor = await self.versions.get(model)
            return await self._batches((predictor, replica.Queued((selection, options), context)))

    async def stream(
        self, selection: Selection, options: TextOptions, model: ModelRef, context: RequestContext
    ) -> AsyncIterator[str]:
        """Stream one text in pieces, including sentences that `finish` may drop."""
        pieces = (await self.versions.get(model)).stream(_batch([selection], [options]))
        with replica.call("stream", context, model.version), replica.phase("write"):
            while (step := await asyncio.to_thread(next, pieces, None)) is not None:
                metrics.TOKENS.record()
                if 0 in step:
                    yield step[0]

    async def finish(
        self, text: str, selection: Selection, options: TextOptions, model: ModelRef, context: RequestContext
    ) -> Draft:
        """The draft of a streamed text: sentences, citations and filters applied."""
        with replica.call("finish", context, model.version):
            return await asyncio.to_thread(lambda: self._cited([text], [selection], [options])[0])

    def write_all(
        self, predictor: GeneratorPredictor, wanted: list[tuple[Selection, TextOptions]]
    ) -> list[list[Draft]]:
        """Drafts for a batch of requests: the first by beam search, further ones sampled; each with citations."""
        found: list[list[Draft]] = [[] for _ in wanted]
        for draw in range(max(options.n for _, options in wanted)):
            rows = [row for row, (_, options) in enumerate(wanted) if options.n > draw]
            selections, all_options = [wanted[row][0] for row in rows], [wanted[row][1] for row in rows]
            batch = _batch(selections, all_options)
            with replica.phase("write"):
                texts = _drawn(predictor, batch, all_options, draw) if draw else predictor(batch)["text"].tolist()
            replica.count_tokens(predictor.model.tokenizer, texts)
            for row, draft in zip(rows, self._cited(texts, selections, all_options), strict=True):
                found[row].append(draft)
        return [rank_drafts(several, options.tone) for several, (_, options) in zip(found, wanted, strict=True)]

    def _cited(self, texts: list[str], selections: list[Selection], all_options: list[TextOptions]) -> list[Draft]:
        with replica.phase("cite"):
            parts = split_sentences(texts)
            return [
                self._draft(
                    [one for one in sentences if not any(mentions(one, word) for word in options.exclude)],
                    chosen,
                    options,
                )
                for sentences, chosen, options in zip(parts, selections, all_options, strict=True)
            ]

    def _draft(self, sentences: list[str], selection: Selection, options: TextOptions) -> Draft:
        written, left_out = self._cite(sentences, selection), 0
        if options.supported_only:
            written, left_out = keep_supported(written)
        text = " ".join(row.text for row in written)
        return Draft(written, left_out, [word for word in options.include if not mentions(text, word)])

    def _cite(self, sentences: list[str], selection: Selection) -> list[CitedSentence]:
        if not sentences:
            return []
        scores = self.classifier.score_all(self.encoder.encode_text(sentences), selection.vectors)  # (m, n)
        citations = cite(scores, self.classifier.threshold)
        return [
            CitedSentence(text, [selection.photo_ids[number] for number in citation.photos], citation.score)
            for text, citation in zip(sentences, citations, strict=True)
        ]


def rank_drafts(drafts: list[Draft], tone: Tone) -> list[Draft]:
    """Order drafts: non-empty first, then fewest missing words, then by tone."""

    def loudness(text: str) -> float:
        return sum(letter == "!" or letter.isupper() for letter in text) / max(len(text), 1)

    def by_tone(draft: Draft) -> float:
        text = " ".join(row.text for row in draft.sentences)
        ways = {"plain": loudness(text), "enthusiastic": -loudness(text), "brief": len(text), "detailed": -len(text)}
        support = sum(row.score for row in draft.sentences) / max(len(draft.sentences), 1)
        return ways.get(tone, -support if len(drafts) > 1 else 0.0)

    return sorted(drafts, key=lambda one: (not one.sentences, len(one.missing), by_tone(one)))


def _drawn(
    predictor: GeneratorPredictor, batch: dict[str, np.ndarray], all_options: list[TextOptions], draw: int
) -> list[str]:
    """Sample row by row, so that a draft depends only on its request's seed, not on the batch."""
    rows = ({name: column[row : row + 1] for name, column in batch.items()} for row in range(len(all_options)))
    drawn = (predictor.drawn(row, options.seed * 1000 + draw) for row, options in zip(rows, all_options, strict=True))
    return [str(row["text"][0]) for row in drawn]


def _batch(selections: list[Selection], all_options: list[TextOptions]) -> dict[str, np.ndarray]:
    images, n_images = _padded([selection.vectors for selection in selections])
    reviews, n_reviews = _padded([selection.features for selection in selections])
    batch = {"images": images, "n_images": n_images, "reviews": reviews, "n_reviews": n_reviews}
    if any(options.exclude for options in all_options):
        batch["avoid"] = np.empty(len(all_options), object)
        batch["avoid"][:] = [list(options.exclude) for options in all_options]
    return batch


def _padded(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, N, d) float32 and (B,) counts of B matrices (n, d); N is at least 1."""
    counts = np.array([len(part) for part in parts])
    padded = np.zeros((len(parts), max(1, counts.max()), parts[0].shape[1]), np.float32)
    for row, part in enumerate(parts):
        padded[row, : counts[row]] = part
    return padded, counts
