"""Rankers choose k photos of a business for a user; evaluation over a split (Table 3).

Besides the selector there are non-personalised rankers, which a selector must beat.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.metrics.bootstrap import Statistic, Sums, ratio
from showcases.metrics.ranking import (
    RankingFigures,
    hit_statistics,
    hits_at_k,
    pair_distances,
    rates_of_hits,
)
from showcases.selector.config import Profile
from showcases.selector.data import Protocol, SelectorBatch, SelectorData
from showcases.selector.model import Selector

Ranker = Callable[[SelectorBatch, int], Tensor]  # (batch, k) -> (B, k) long, -1 where no item is left


def top_k(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """(B, k) indices of the k largest scores (B, N) where mask (B, N) is True, -1 if there are fewer."""
    order = scores.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :k]
    chosen = torch.where(mask.gather(1, order), order, -1)
    return F.pad(chosen, (0, k - chosen.shape[1]), value=-1)


def random_ranker(seed: int) -> Ranker:
    """Random photos; deterministic for a seed and order of batches."""
    generator = torch.Generator().manual_seed(seed)

    def rank(batch: SelectorBatch, k: int) -> Tensor:
        return top_k(torch.rand(batch.mask.shape, generator=generator), batch.mask, k)

    return rank


def popularity(images: Tensor, mask: Tensor, owners: Tensor) -> Tensor:
    """(B, N) popularity of a photo's subject: mean cosine to the photos of the business that others posted.

    Others are all users except the photo's poster, so that posting similar photos does not increase popularity.
    0 if nobody else posted.

    Args:
        images: (B, N, D).
        mask: (B, N) bool.
        owners: (B, N) long, poster of each.
    """
    unit = F.normalize(images, dim=-1)
    others = (owners[:, :, None] != owners[:, None, :]) & mask[:, None, :] & mask[:, :, None]
    return (unit @ unit.transpose(1, 2) * others).sum(2) / others.sum(2).clamp_min(1)


def most_popular(batch: SelectorBatch, k: int) -> Tensor:
    """Rank by `popularity`."""
    return top_k(popularity(batch.images(), batch.mask, batch.owners), batch.mask, k)


def selector_ranker(model: Selector, theta: float | None = None) -> Ranker:
    """A trained selector's greedy MAP; theta is its quality/diversity dial, by default the model's."""

    def rank(batch: SelectorBatch, k: int) -> Tensor:
        return model.select(batch.profiles, batch.photos, batch.mask, k, batch.candidates, theta)

    return rank


def rank_split(
    data: SelectorData,
    ranker: Ranker,
    k: int,
    *,
    profile: Profile = "img",
    protocol: Protocol = "paper",
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> tuple[RankingFigures, list[list[str]]]:
    """Run a ranker on every example of a split and score it.

    Args:
        data: the split, at least one example.
        ranker: see `Ranker`; gets batches on `device`.
        k: photos to choose.
        profile: the features that the ranker needs; ignored by non-personalised rankers.
        protocol: paper or deployment, see `SelectorData.batch`.

    Returns:
        The figures, and the chosen photo ids of each example, in order of selection.
    """
    hits, relevant, distances, names = [], [], [], []
    for start in range(0, len(data), batch_size):
        numbers = np.arange(start, min(start + batch_size, len(data)))
        batch = data.batch(numbers, profile, protocol).to(device)
        chosen = ranker(batch, k)
        hits.append(hits_at_k(chosen, batch.chosen).cpu().numpy())
        relevant.append(batch.chosen.sum(1).cpu().numpy())
        distances.append(pair_distances(batch.images(), chosen).cpu().numpy())
        names += [data.photo_ids(number, row) for number, row in zip(numbers.tolist(), chosen.tolist(), strict=True)]
    apart = np.concatenate(distances)
    diversity = float(ratio(apart.sum(0, keepdims=True))[0])
    spread: dict[str, Statistic] = {"diversity": Sums(apart, ratio)}
    if protocol == "deployment":
        return RankingFigures(None, None, None, diversity, len(data), spread), names
    found = (np.concatenate(hits), np.concatenate(relevant), k)
    return RankingFigures(*rates_of_hits(*found), diversity, len(data), spread | hit_statistics(*found)), names
