"""Table 3: how well photos are chosen, and the rankers without a user that a selector must beat."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.evaluation.bootstrap import Statistic, Sums, ratio
from showcases.selector.config import Profile
from showcases.selector.data import Protocol, SelectorBatch, SelectorData
from showcases.selector.model import Selector

Ranker = Callable[[SelectorBatch, int], Tensor]  # (batch, k) -> (B, k) long, -1 where nothing is left


@dataclass(frozen=True)
class RankingFigures:
    """One row of Table 3, as shares of 1.

    Precision, recall and F1 are None in the deployment protocol: the photos that count as hits are not in the pool
    there. Diversity is NaN where no set has two photos.

    Attributes:
        statistics: of each of the four that there is, by its name here, to be resampled over the examples.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    diversity: float
    examples: int
    statistics: Mapping[str, Statistic] = field(default_factory=dict, compare=False, repr=False)


def hits_at_k(chosen: Tensor, relevant: Tensor) -> Tensor:
    """(B,) how many of chosen (B, k), -1 for none, are in relevant (B, N) bool."""
    return (relevant.gather(1, chosen.clamp_min(0)) & (chosen >= 0)).sum(1)


def precision_recall_f1(hits: np.ndarray, relevant: np.ndarray, k: int) -> tuple[float, float, float]:
    """Averaged precision and recall at k, and the harmonic mean of these averages.

    Args:
        hits: (n,) relevant photos among the k chosen.
        relevant: (n,) relevant photos there are, at least 1.
        k: photos asked for; a set that ends early counts what is missing as misses.

    Source: paper section 5.1; Table 3's F1@3 is the harmonic mean of its own Prec@3 and Recall@3 in all four rows.
    """
    precision, recall = float((hits / k).mean()), float((hits / relevant).mean())
    return precision, recall, harmonic_mean(precision, recall)


def harmonic_mean(precision: float, recall: float) -> float:
    """2PR / (P + R), 0 where both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def pair_distances(images: Tensor, chosen: Tensor) -> Tensor:
    """(B, 2) double: of each chosen set the sum of 1 - cosine over its pairs, and the number of pairs.

    Args:
        images: (B, N, D).
        chosen: (B, k), -1 for none.

    Source: Appendix B's dis(m, n); Div@k is the mean over pairs (method.md, section 3).
    """
    items = chosen.clamp_min(0)[:, :, None].expand(-1, -1, images.shape[2])
    unit = F.normalize(images.gather(1, items), dim=-1)  # (B, k, D)
    real = chosen >= 0
    pairs = (real[:, :, None] & real[:, None, :]).triu(1)
    distances = (1 - unit @ unit.transpose(1, 2)).double().where(pairs, 0.0)
    return torch.stack([distances.sum((1, 2)), pairs.sum((1, 2)).double()], dim=1)


def div_at_k(images: Tensor, chosen: Tensor) -> float:
    """Div@k: mean 1 - cosine over the pairs of the chosen photos; arguments as in `pair_distances`."""
    return float(ratio(pair_distances(images, chosen).sum(0, keepdim=True).cpu().numpy())[0])


def top_k(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """(B, k) numbers of the k largest scores (B, N) where mask (B, N) is True, -1 where fewer are left."""
    order = scores.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :k]
    chosen = torch.where(mask.gather(1, order), order, -1)
    return F.pad(chosen, (0, k - chosen.shape[1]), value=-1)


def random_ranker(seed: int) -> Ranker:
    """Photos at random; the same ones for the same seed and order of batches."""
    generator = torch.Generator().manual_seed(seed)

    def rank(batch: SelectorBatch, k: int) -> Tensor:
        return top_k(torch.rand(batch.mask.shape, generator=generator), batch.mask, k)

    return rank


def popularity(images: Tensor, mask: Tensor, owners: Tensor) -> Tensor:
    """(B, N) how popular what a photo shows is: mean cosine to the photos that others posted of the business.

    Others are all but the photo's own poster, so that nobody makes a photo popular by posting the like of it twice.
    0 where nobody else posted.

    Args:
        images: (B, N, D).
        mask: (B, N) bool.
        owners: (B, N) long, who posted each.
    """
    unit = F.normalize(images, dim=-1)
    others = (owners[:, :, None] != owners[:, None, :]) & mask[:, None, :] & mask[:, :, None]
    return (unit @ unit.transpose(1, 2) * others).sum(2) / others.sum(2).clamp_min(1)


def most_popular(batch: SelectorBatch, k: int) -> Tensor:
    """What most people photograph at this business."""
    return top_k(popularity(batch.images(), batch.mask, batch.owners), batch.mask, k)


def selector_ranker(model: Selector, theta: float | None = None) -> Ranker:
    """A trained selector's greedy MAP; theta is its quality/diversity dial, by default the model's own."""

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
    """Choose for every example of a split and score it.

    Args:
        data: the split, at least one example.
        ranker: see `Ranker`; gets batches on `device`.
        k: photos to choose.
        profile: the features that the ranker wants; any for one that looks at no user.
        protocol: paper or deployment, see `SelectorData.batch`.

    Returns:
        The figures, and the photo ids chosen for each example, in the order of choice.
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
    return RankingFigures(*precision_recall_f1(*found), diversity, len(data), spread | hit_statistics(*found)), names


def hit_statistics(hits: np.ndarray, relevant: np.ndarray, k: int) -> dict[str, Statistic]:
    """Precision, recall and F1 to be resampled; arguments as for `precision_recall_f1`."""
    ones = np.ones(len(hits))
    precision, recall = hits / k, hits / relevant
    return {
        "precision": Sums(np.stack([precision, ones], axis=1), ratio),
        "recall": Sums(np.stack([recall, ones], axis=1), ratio),
        "f1": Sums(np.stack([precision, recall, ones], axis=1), f1_of_sums),
    }


def f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """(B,) from sums (B, 3) of precision, recall and examples."""
    return np.array([harmonic_mean(precision / n, recall / n) for precision, recall, n in sums.tolist()])
