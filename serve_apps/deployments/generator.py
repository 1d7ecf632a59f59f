"""The deployment that writes: photos and past reviews to sentences, and which photos each sentence describes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_apps.args import ShowcaseArgs
from serve_apps.deployments.batching import Batches
from serve_apps.deployments.device import torch_device
from serve_apps.deployments.lookup import Selection
from serve_apps.deployments.model_cache import Loaded, each_by_its_model
from serve_apps.observability import metrics, replica
from serve_apps.observability.context import Carried
from serve_apps.rollout import models
from serve_apps.rollout.models import ModelRef
from serve_apps.rollout.registry import weights
from serve_apps.terms import Tone
from showcases.generator import GeneratorPredictor
from showcases.generator.citations import cite, keep_supported
from showcases.generator.rules import mentions
from showcases.gest.reading.sentences import split_sentences


@dataclass(frozen=True)
class How:
    """How a text is to be; see `serve_apps.api.requests.TextAsked`."""

    n: int = 1
    seed: int = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tone: Tone = "own"
    supported_only: bool = False


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


@dataclass(frozen=True)
class Candidate:
    """One text.

    Attributes:
        unsupported: sentences left out because no photo supports them.
        missing: words asked for that it has not.
    """

    sentences: list[Written]
    unsupported: int
    missing: list[str]


class Generator:
    """Writes in batches off the event loop."""

    def __init__(self, args: ShowcaseArgs, model: ModelRef) -> None:
        self.args = args
        replica.install(args.operations, "Generator")
        self.device = torch_device(args.device)
        self.encoder = models.load_encoder(args, self.device)
        self.classifier = models.load_classifier(args, self.device)
        self.versions = Loaded(self.load)
        self.versions.put(model, self.load(model))
        run = replica.in_batch("write", self.write_all)
        self._batches: Batches[tuple[GeneratorPredictor, replica.Queued[tuple[Selection, How]]], list[Candidate]] = (
            Batches(lambda wanted: each_by_its_model(wanted, run))
        )

    def reconfigure(self, options: dict[str, Any]) -> None:
        """From config.yaml."""
        replica.give_way(options["niceness"])
        self._batches.max_size = options["max_batch_size"]

    def load(self, model: ModelRef) -> GeneratorPredictor:
        """A version that has written once, so that the first request finds it warm."""
        with weights(self.args, model) as folder:
            predictor = GeneratorPredictor(folder, device=self.device, precision=self.args.precision)
        inside = predictor.model
        images = np.full((1, 1, inside.image_dim), inside.image_dim**-0.5, np.float32)
        reviews = np.full((1, 1, inside.text_dim), inside.text_dim**-0.5, np.float32)
        one = np.array([1])
        predictor({"images": images, "n_images": one, "reviews": reviews, "n_reviews": one})
        return predictor

    async def ensure(self, model: ModelRef) -> None:
        """Returns once this version is loaded and warm."""
        await self.versions.get(model)

    async def write(self, selection: Selection, how: How, model: ModelRef, carried: Carried) -> list[Candidate]:
        """how.n texts by this version, the preferred one first."""
        with replica.call("write", carried, model.version):
            predictor = await self.versions.get(model)
            return await self._batches((predictor, replica.Queued((selection, how), carried)))

    async def stream(self, selection: Selection, how: How, model: ModelRef, carried: Carried) -> AsyncIterator[str]:
        """One text piece by piece, sentences that may not stand among them; `finish` makes the answer of it."""
        pieces = (await self.versions.get(model)).stream(_batch([selection], [how]))
        with replica.call("stream", carried, model.version), replica.phase("write"):
            while (step := await asyncio.to_thread(next, pieces, None)) is not None:
                metrics.TOKENS.record()
                if 0 in step:
                    yield step[0]

    async def finish(self, text: str, selection: Selection, how: How, model: ModelRef, carried: Carried) -> Candidate:
        """What becomes of a streamed text: sentences, citations, what is left out."""
        with replica.call("finish", carried, model.version):
            return await asyncio.to_thread(lambda: self._cited([text], [selection], [how])[0])

    def write_all(self, predictor: GeneratorPredictor, wanted: list[tuple[Selection, How]]) -> list[list[Candidate]]:
        """Searched texts for all, drawn ones for those that want more; each with its citations."""
        found: list[list[Candidate]] = [[] for _ in wanted]
        for draw in range(max(how.n for _, how in wanted)):
            rows = [row for row, (_, how) in enumerate(wanted) if how.n > draw]
            selections, hows = [wanted[row][0] for row in rows], [wanted[row][1] for row in rows]
            batch = _batch(selections, hows)
            with replica.phase("write"):
                texts = _drawn(predictor, batch, hows, draw) if draw else predictor(batch)["text"].tolist()
            replica.count_tokens(predictor.model.tokenizer, texts)
            for row, candidate in zip(rows, self._cited(texts, selections, hows), strict=True):
                found[row].append(candidate)
        return [preferred(several, how.tone) for several, (_, how) in zip(found, wanted, strict=True)]

    def _cited(self, texts: list[str], selections: list[Selection], hows: list[How]) -> list[Candidate]:
        with replica.phase("cite"):
            parts = split_sentences(texts)
            return [
                self._candidate(
                    [one for one in said if not any(mentions(one, word) for word in how.exclude)], chosen, how
                )
                for said, chosen, how in zip(parts, selections, hows, strict=True)
            ]

    def _candidate(self, sentences: list[str], selection: Selection, how: How) -> Candidate:
        written, left_out = self._cite(sentences, selection), 0
        if how.supported_only:
            written, left_out = keep_supported(written)
        text = " ".join(row.text for row in written)
        return Candidate(written, left_out, [word for word in how.include if not mentions(text, word)])

    def _cite(self, sentences: list[str], selection: Selection) -> list[Written]:
        if not sentences:
            return []
        scores = self.classifier.score_all(self.encoder.encode_text(sentences), selection.vectors)  # (m, n)
        citations = cite(scores, self.classifier.threshold)
        return [
            Written(text, [selection.photo_ids[number] for number in citation.photos], citation.score)
            for text, citation in zip(sentences, citations, strict=True)
        ]


def preferred(candidates: list[Candidate], tone: Tone) -> list[Candidate]:
    """Those that say something first, of them those with most of the words asked for, of them by tone."""

    def loudness(text: str) -> float:
        return sum(letter == "!" or letter.isupper() for letter in text) / max(len(text), 1)

    def by_tone(candidate: Candidate) -> float:
        text = " ".join(row.text for row in candidate.sentences)
        ways = {"plain": loudness(text), "enthusiastic": -loudness(text), "brief": len(text), "detailed": -len(text)}
        support = sum(row.score for row in candidate.sentences) / max(len(candidate.sentences), 1)
        return ways.get(tone, -support if len(candidates) > 1 else 0.0)

    return sorted(candidates, key=lambda one: (not one.sentences, len(one.missing), by_tone(one)))


def _drawn(predictor: GeneratorPredictor, batch: dict[str, np.ndarray], hows: list[How], draw: int) -> list[str]:
    """Row by row: what is drawn hangs on the request's seed alone, not on who else is in the batch."""
    rows = ({name: column[row : row + 1] for name, column in batch.items()} for row in range(len(hows)))
    drawn = (predictor.drawn(row, how.seed * 1000 + draw) for row, how in zip(rows, hows, strict=True))
    return [str(row["text"][0]) for row in drawn]


def _batch(selections: list[Selection], hows: list[How]) -> dict[str, np.ndarray]:
    images, n_images = _padded([selection.vectors for selection in selections])
    reviews, n_reviews = _padded([selection.features for selection in selections])
    batch = {"images": images, "n_images": n_images, "reviews": reviews, "n_reviews": n_reviews}
    if any(how.exclude for how in hows):
        batch["avoid"] = np.empty(len(hows), object)
        batch["avoid"][:] = [list(how.exclude) for how in hows]
    return batch


def _padded(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, N, d) float32 and (B,) counts of B matrices (n, d); N is at least 1."""
    counts = np.array([len(part) for part in parts])
    padded = np.zeros((len(parts), max(1, counts.max()), parts[0].shape[1]), np.float32)
    for row, part in enumerate(parts):
        padded[row, : counts[row]] = part
    return padded, counts
