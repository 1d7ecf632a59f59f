"""Training data of the generator: GEST-s2's rows with their features and token ids, padded into batches of tensors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from showcases.generator.config import GeneratorConfig
from showcases.generator.tokenizer import decode, encode
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable, require_one_space, review_features

IGNORED = -100  # target of a padded position, as in torch's cross entropy
COLUMNS = ("review_id", "explanation", "photo_ids", "history_review_ids", "split")


@dataclass(frozen=True)
class GestRows:
    """Trainable rows of GEST-s2, with the features that they reference.

    Attributes:
        texts: (n) explanations, none empty.
        photos: (n) rows of `image_vectors`, at least one each, at most max_images.
        history: (n) rows of `review_vectors`, at most max_reviews, possibly none.
        image_vectors: (P, D) float16.
        review_vectors: (Q, D') float32, one past review each.
        embedding_space: model id of both.
        left_out: number of rows without an explanation, and without an embedded photo.
        review_ids: (n).
    """

    texts: list[str]
    photos: list[np.ndarray]
    history: list[np.ndarray]
    image_vectors: np.ndarray
    review_vectors: np.ndarray
    embedding_space: str
    left_out: dict[str, int] = field(default_factory=dict)
    review_ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def users(self) -> np.ndarray:
        """R̃ (n, D'): the mean feature of each row's past reviews; zeros if it has none."""
        means = np.zeros((len(self), self.review_vectors.shape[1]), np.float32)
        for row, history in enumerate(self.history):
            if len(history):
                means[row] = self.review_vectors[history].mean(axis=0)
        return means


@dataclass(frozen=True)
class Features:
    """Features that rows of GEST-s2 reference: photos and past reviews by id.

    Attributes:
        images: of the photos that the rows name.
        review_row: row number by review id.
        review_vectors: (Q, D') float32, one past review each.
    """

    images: EmbeddingTable
    review_row: Mapping[str, int]
    review_vectors: np.ndarray

    @classmethod
    def read(cls, workspace: Workspace, splits: Sequence[str], also: Iterable[str] = ()) -> "Features":
        """Read the features of these splits; memory is proportional to them, not to the corpus.

        Args:
            also: ids of further reviews.

        Raises:
            ArtifactError: an artifact is missing, or photos and sentences were embedded by different models.
        """
        named = workspace.read_table("gest_s2", ("photo_ids", "history_review_ids", "split"))
        named = named.filter(pc.is_in(named["split"], pa.array(splits)))
        photos, past = (
            pc.unique(pc.list_flatten(named[name])).to_pylist() for name in ("photo_ids", "history_review_ids")
        )
        images = EmbeddingTable.read(workspace, "image_embeddings", only=photos)
        sentences = EmbeddingShards(workspace, "sentence_embeddings")
        require_one_space({"photos": images.model_id, "sentences": sentences.model_id}, "run jobs.embed again")
        features = review_features(sentences, sorted({*past, *also}))
        vectors = np.stack(list(features.values())) if features else np.zeros((0, sentences.dim), np.float32)
        return cls(images, {name: number for number, name in enumerate(features)}, vectors)


def read_rows(workspace: Workspace, splits: Sequence[str], config: GeneratorConfig) -> dict[str, GestRows]:
    """Read splits of GEST-s2 with the photos that the user posted (the ground truth) and past reviews.

    Raises:
        ArtifactError: an artifact is missing, or photos and sentences were embedded by different models.
    """
    features = Features.read(workspace, splits)
    rows = [row for row in workspace.read_table("gest_s2", COLUMNS).to_pylist() if row["split"] in splits]
    return {split: select_rows([row for row in rows if row["split"] == split], features, config) for split in splits}


def select_rows(rows: Iterable[Mapping[str, Any]], features: Features, config: GeneratorConfig) -> GestRows:
    """The trainable rows of schema GEST_S2: with an explanation and an embedded photo."""
    images = features.images
    left_out = {"no explanation": 0, "no embedded photo": 0}
    selected = GestRows([], [], [], images.vectors, features.review_vectors, images.model_id, left_out)
    for row in rows:
        text, photos = (row["explanation"] or "").strip(), images.rows(row["photo_ids"])[: config.max_images]
        if not text:
            left_out["no explanation"] += 1
        elif not len(photos):
            left_out["no embedded photo"] += 1
        else:
            known = [features.review_row[name] for name in row["history_review_ids"] if name in features.review_row]
            selected.review_ids.append(row["review_id"])
            selected.texts.append(text)
            selected.photos.append(photos)
            selected.history.append(np.array(known[: config.max_reviews], np.int64))
    return selected


@dataclass(frozen=True)
class Batch:
    """Padded tensors of B examples.

    Attributes:
        images, image_mask: (B, I, D), (B, I) bool.
        reviews, review_mask: (B, R, D'), (B, R) bool.
        users: (B, D'), R̃.
        tokens: (B, T), the begin token and the text's, padded on the right.
        targets: (B, T), the token after each; the end token after a whole text; IGNORED elsewhere.
        text_mask: (B, T) bool, True on the text's tokens, not on the begin token.
        hard_tokens, hard_mask: (B, T), for the text with replaced entities, or the text itself if it has none.
        has_hard: (B,) bool.
    """

    images: Tensor
    image_mask: Tensor
    reviews: Tensor
    review_mask: Tensor
    users: Tensor
    tokens: Tensor
    targets: Tensor
    text_mask: Tensor
    hard_tokens: Tensor
    hard_mask: Tensor
    has_hard: Tensor

    def to(self, device: str | torch.device) -> "Batch":
        """Copy to a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class GeneratorData:
    """Tokenised examples of a split.

    Args:
        rows: of the split.
        tokenizer: of the explanations.
        max_tokens: longer explanations are cut.
        hard: each explanation with replaced entities, or None (Eq. 8); empty for losses without hard negatives.
    """

    def __init__(
        self,
        rows: GestRows,
        tokenizer: PreTrainedTokenizerFast,
        max_tokens: int,
        hard: Sequence[str | None] | None = None,
    ) -> None:
        self.rows, self.end = rows, int(tokenizer.eos_token_id)
        encoded = [encode(tokenizer, text, max_tokens) for text in rows.texts]
        self.ids = [ids for ids, _ in encoded]
        self.cut = [was_cut for _, was_cut in encoded]
        others = [
            None if text is None else encode(tokenizer, text, max_tokens)[0] for text in hard or [None] * len(rows)
        ]
        # the entity may lie after the cut
        self.hard = [None if other == own else other for own, other in zip(self.ids, others, strict=True)]
        # words of truncated texts only, so that nats per word compare across tokenizers
        truncated = (
            decode(tokenizer, ids) if cut else text
            for text, ids, cut in zip(rows.texts, self.ids, self.cut, strict=True)
        )
        self.words = [len(text.split()) for text in truncated]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, numbers: Sequence[int] | np.ndarray) -> Batch:
        """Collate the examples with these indices."""
        rows = self.rows
        images, image_mask = pad_features([rows.image_vectors[rows.photos[n]] for n in numbers])
        reviews, review_mask = pad_features([rows.review_vectors[rows.history[n]] for n in numbers])
        ids = [self.ids[n] for n in numbers]
        hard = [self.hard[n] for n in numbers]
        others = [own if other is None else other for own, other in zip(ids, hard, strict=True)]
        length = 1 + max(len(text) for text in ids + others)
        tokens, text_mask = pad_tokens(ids, length, self.end)
        hard_tokens, hard_mask = pad_tokens(others, length, self.end)
        return Batch(
            images=torch.from_numpy(images),
            image_mask=torch.from_numpy(image_mask),
            reviews=torch.from_numpy(reviews),
            review_mask=torch.from_numpy(review_mask),
            users=torch.from_numpy(rows.users[np.asarray(numbers)]),
            tokens=tokens,
            targets=following_tokens(ids, [self.cut[n] for n in numbers], length, self.end),
            text_mask=text_mask,
            hard_tokens=hard_tokens,
            hard_mask=hard_mask,
            has_hard=torch.tensor([other is not None for other in hard]),
        )


def pad_tokens(texts: Sequence[list[int]], length: int, end: int) -> tuple[Tensor, Tensor]:
    """Tokens (B, length) that begin with `end` and are padded with it, and a mask (B, length) of the texts' tokens."""
    tokens = torch.full((len(texts), length), end)
    mask = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, ids in enumerate(texts):
        tokens[row, 1 : 1 + len(ids)] = torch.tensor(ids, dtype=torch.long)
        mask[row, 1 : 1 + len(ids)] = True
    return tokens, mask


def following_tokens(texts: Sequence[list[int]], cut: Sequence[bool], length: int, end: int) -> Tensor:
    """Targets (B, length) for `pad_tokens`: `end` after a text that was not truncated, then IGNORED."""
    targets = torch.full((len(texts), length), IGNORED)
    for row, (ids, was_cut) in enumerate(zip(texts, cut, strict=True)):
        following = ids if was_cut else [*ids, end]
        targets[row, : len(following)] = torch.tensor(following, dtype=torch.long)
    return targets


def pad_features(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pad B arrays (n_i, D) to (B, N, D) float32 and a mask (B, N) bool, N the largest n_i."""
    longest = max(len(part) for part in features)
    padded = np.zeros((len(features), longest, features[0].shape[1]), np.float32)
    mask = np.zeros((len(features), longest), bool)
    for row, part in enumerate(features):
        padded[row, : len(part)] = part
        mask[row, : len(part)] = True
    return padded, mask
