"""Metrics of chosen photos, Table 3: precision, recall, F1 and diversity at k (paper section 5.1, Appendix B)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.metrics.bootstrap import Statistic, Sums, ratio


@dataclass(frozen=True)
class RankingFigures:
    """One row of Table 3, as shares of 1.

    Precision, recall and F1 are None in the deployment protocol: the photos that count as hits are not in the pool
    there. Diversity is NaN if no set has two photos.

    Attributes:
        statistics: for resampling, by metric; only those that are defined.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    diversity: float
    examples: int
    statistics: Mapping[str, Statistic] = field(default_factory=dict, compare=False, repr=False)


def hits_at_k(chosen: Tensor, relevant: Tensor) -> Tensor:
    """(B,) number of chosen items (B, k), -1 for none, that are in relevant (B, N) bool."""
    return (relevant.gather(1, chosen.clamp_min(0)) & (chosen >= 0)).sum(1)


def precision_recall_f1(
    chosen: np.ndarray | Tensor, relevant: np.ndarray | Tensor, k: int | None = None
) -> tuple[float, float, float]:
    """Averaged precision and recall at k, and the harmonic mean of these averages.

    Args:
        chosen: (B, k) or (k,) item numbers, -1 for none, as `selector.greedy_map` returns them.
        relevant: (B, N) or (N,) bool, at least one True in each row.
        k: requested items; by default the width of `chosen`. Missing items of shorter sets count as misses.

    Returns:
        Precision, recall and F1, 0 to 1.

    Raises:
        ValueError: the shapes do not fit, or a row of `relevant` is empty.

    Source: paper section 5.1; Table 3's F1@3 is the harmonic mean of its own Prec@3 and Recall@3 in all four rows.
    """
    sets, truth = torch.atleast_2d(torch.as_tensor(chosen)), torch.atleast_2d(torch.as_tensor(relevant))
    if len(sets) != len(truth) or sets.ndim != 2 or truth.ndim != 2:
        raise ValueError(f"chosen {tuple(sets.shape)} and relevant {tuple(truth.shape)} do not fit: (B, k), (B, N)")
    if not truth.any(1).all():
        raise ValueError("an example without a relevant item has no recall: drop it")
    hits = hits_at_k(sets.cpu(), truth.cpu().bool()).numpy()
    return rates_of_hits(hits, truth.sum(1).cpu().numpy(), sets.shape[1] if k is None else k)


def rates_of_hits(hits: np.ndarray, relevant: np.ndarray, k: int) -> tuple[float, float, float]:
    """Averaged precision and recall at k, and the harmonic mean of these averages.

    Args:
        hits: (n,) relevant photos among the k chosen.
        relevant: (n,) all relevant photos, at least 1.
        k: requested photos; missing photos of shorter sets count as misses.

    Source: paper section 5.1; Table 3's F1@3 is the harmonic mean of its own Prec@3 and Recall@3 in all four rows.
    """
    precision, recall = float((hits / k).mean()), float((hits / relevant).mean())
    return precision, recall, harmonic_mean(precision, recall)


def harmonic_mean(precision: float, recall: float) -> float:
    """2PR / (P + R), 0 if both are 0."""
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


def div_at_k(images: np.ndarray | Tensor, chosen: np.ndarray | Tensor) -> float:
    """Div@k: mean 1 - cosine over the pairs of the chosen photos, 0 to 2; NaN if no set has two.

    Args:
        images: (B, N, D) or (N, D).
        chosen: (B, k) or (k,) item numbers, -1 for none.

    Source: Appendix B.
    """
    photos, sets = torch.as_tensor(images), torch.atleast_2d(torch.as_tensor(chosen))
    photos = photos[None] if photos.ndim == 2 else photos
    return float(ratio(pair_distances(photos, sets).sum(0, keepdim=True).cpu().numpy())[0])


def hit_statistics(hits: np.ndarray, relevant: np.ndarray, k: int) -> dict[str, Statistic]:
    """Statistics of precision, recall and F1; arguments as for `rates_of_hits`."""
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
