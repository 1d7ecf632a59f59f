"""Batches of the baselines: our generator's input, ids, and others' reviews of the business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from showcases.baselines.ids import Ids, ItemReviews
from showcases.generator.config import GeneratorConfig
from showcases.generator.data import COLUMNS as SHARED_COLUMNS
from showcases.generator.data import Features, GeneratorData, pad_features, select_rows

COLUMNS = (*SHARED_COLUMNS, "user_id", "business_id")


@dataclass(frozen=True)
class Given:
    """Input of B examples for all baselines; each reads a part of it (`Baseline.reads`).

    Attributes:
        images, image_mask: (B, I, D), (B, I) bool.
        reviews, review_mask: (B, R, D'), (B, R) bool: past reviews of the user.
        item_reviews, item_review_mask: (B, Q, D'), (B, Q) bool: others' reviews of the business.
        users, items: (B,) numbers, 0 for unknown ones.
    """

    images: Tensor
    image_mask: Tensor
    reviews: Tensor
    review_mask: Tensor
    item_reviews: Tensor
    item_review_mask: Tensor
    users: Tensor
    items: Tensor

    def __len__(self) -> int:
        return len(self.users)

    def to(self, device: str | torch.device) -> "Given":
        """The same on a device."""
        return Given(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class BaselineBatch:
    """B examples.

    Attributes:
        given: what is read.
        tokens: (B, T), the begin token and the text's, padded on the right.
        targets: (B, T), the token after each; IGNORED behind the end.
        text_mask: (B, T) bool, True on the text's own tokens.
    """

    given: Given
    tokens: Tensor
    targets: Tensor
    text_mask: Tensor

    def to(self, device: str | torch.device) -> "BaselineBatch":
        """The same on a device."""
        return BaselineBatch(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class World:
    """Data that examples of every split reference.

    Attributes:
        features: photos, and past reviews of users and businesses.
        ids: of the training split.
        item_reviews: likewise.
        limits: maximum photos, reviews and tokens per example.
    """

    features: Features
    ids: Ids
    item_reviews: ItemReviews
    limits: GeneratorConfig


class BaselineData:
    """Tokenised examples of a split; the same as our generator's, in the same order.

    Args:
        rows: of schema GEST_S2.
        world: data that they reference.
        tokenizer: of the explanations.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], world: World, tokenizer: PreTrainedTokenizerFast) -> None:
        selected = select_rows(rows, world.features, world.limits)
        self.shared = GeneratorData(selected, tokenizer, world.limits.max_tokens)
        of = {row["review_id"]: row for row in rows}
        usable = [of[name] for name in selected.review_ids]
        self.users = world.ids.user_numbers(row["user_id"] for row in usable)
        self.items = world.ids.item_numbers(row["business_id"] for row in usable)
        self.item_reviews = [_item_rows(row, world) for row in usable]

    def __len__(self) -> int:
        return len(self.shared)

    @property
    def words(self) -> list[int]:
        """Number of words of each explanation."""
        return self.shared.words

    def batch(self, numbers: Sequence[int] | np.ndarray) -> BaselineBatch:
        """Collate the examples of these numbers."""
        shared, vectors = self.shared.batch(numbers), self.shared.rows.review_vectors
        item_reviews, item_review_mask = pad_features([vectors[self.item_reviews[n]] for n in numbers])
        given = Given(
            images=shared.images,
            image_mask=shared.image_mask,
            reviews=shared.reviews,
            review_mask=shared.review_mask,
            item_reviews=torch.from_numpy(item_reviews),
            item_review_mask=torch.from_numpy(item_review_mask),
            users=torch.tensor([self.users[n] for n in numbers]),
            items=torch.tensor([self.items[n] for n in numbers]),
        )
        return BaselineBatch(given, shared.tokens, shared.targets, shared.text_mask)


def _item_rows(row: Mapping[str, Any], world: World) -> np.ndarray:
    """Rows of the review vectors for the reviews of the example's business that it may use."""
    names = world.item_reviews.seen_by(row["user_id"], row["business_id"])
    known = [world.features.review_row[name] for name in names if name in world.features.review_row]
    return np.array(known[: world.limits.max_reviews], np.int64)
