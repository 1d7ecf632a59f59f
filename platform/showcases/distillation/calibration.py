"""Bootstrapping from few labels: CLIP similarity labels further pairs where it is calibrated on people's labels.

Two thresholds are estimated from people's training pairs; pairs between them stay unlabelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from showcases.distillation.annotations import AnnotationSet, ReviewPairs, annotation_table
from showcases.distillation.weak import all_pairs, similarity
from showcases.storage.embeddings import EmbeddingTable

CONFIDENCE = 0.8  # that the precision beyond a threshold is at least the requested one


@dataclass(frozen=True)
class Side:
    """Pairs beyond a threshold.

    Attributes:
        threshold: cosine; None if no threshold reaches the confidence.
        labels: people's training pairs beyond it.
        right: those of them with the same label by people.
        held_out: people's val and test pairs beyond it, which were not used to choose it.
        held_out_right: those of them with the same label by people.
        added: number of weak labels.
    """

    threshold: float | None
    labels: int = 0
    right: int = 0
    held_out: int = 0
    held_out_right: int = 0
    added: int = 0


@dataclass(frozen=True)
class Calibration:
    """Pairs from `high` up count as matching, pairs up to `low` as not matching."""

    precision: float  # requested, 0 to 1
    labels: int  # people's labels in the training split
    high: Side
    low: Side

    @property
    def added(self) -> int:
        return self.high.added + self.low.added

    def lines(self) -> list[str]:
        """Lines for display."""
        sides = (("matching", "from", self.high), ("not matching", "up to", self.low))
        return [self._line(*side) for side in sides]

    def _line(self, name: str, reach: str, side: Side) -> str:
        if side.threshold is None:
            return (
                f"no weak label `{name}`: at no similarity do the {self.labels} training labels make it "
                f"{CONFIDENCE:.0%} sure that {self.precision:.0%} are right; label more pairs or lower "
                "annotate.weak_precision"
            )
        held_out = f"{side.held_out_right} of {side.held_out} held-out ones"
        return (
            f"{side.added} weak labels `{name}`, {reach} a similarity of {side.threshold:.3f}: people agree with "
            f"{side.right} of {side.labels} training labels there and with {held_out}"
        )

    def figures(self) -> dict[str, float]:
        """For the manifest."""
        figures: dict[str, float] = {"weak_added": self.added, "weak_precision": self.precision}
        figures |= {} if self.high.threshold is None else {"weak_high": self.high.threshold}
        return figures | ({} if self.low.threshold is None else {"weak_low": self.low.threshold})


def fill_up(
    people: AnnotationSet,
    reviews: Sequence[ReviewPairs],
    sentences: EmbeddingTable,
    photos: EmbeddingTable,
    precision: float,
) -> tuple[AnnotationSet, Calibration]:
    """Add weak labels to people's: unlabelled pairs with sufficiently high or low similarity.

    People's labels are unchanged. Weak ones are added only to the training split, and not for reviews of the other
    splits, so that the classifier is validated and tested on people's labels.

    Args:
        people: from `from_votes`; its pairs have vectors.
        reviews: candidates for weak labels.
        precision: share of weak labels of each kind that people would agree with, 0 to 1.
    """
    rows = people.table.to_pylist()
    cosine = similarity([(row["sentence_id"], row["photo_id"], "") for row in rows], sentences, photos)
    label = np.array([row["label"] for row in rows], np.int64)
    train = np.array([row["split"] == "train" for row in rows], bool)
    high, low = find_thresholds(cosine[train], label[train], precision)

    elsewhere = {row["review_id"] for row in rows if row["split"] != "train"}
    taken = {(row["sentence_id"], row["photo_id"]) for row in rows}
    taken |= {(dispute.sentence_id, dispute.pair.photo_id) for dispute in people.disputes}  # ties have no label
    free = [pair for pair in all_pairs(reviews) if pair[2] not in elsewhere and pair[:2] not in taken]
    beyond = similarity(free, sentences, photos)
    kinds = [(1, pair) for pair, at in zip(free, beyond, strict=True) if high is not None and at >= high]
    kinds += [(0, pair) for pair, at in zip(free, beyond, strict=True) if low is not None and at <= low]
    weak = annotation_table(
        [(*pair, [], kind) for kind, pair in kinds], "weak", {pair[2]: "train" for _, pair in kinds}
    )
    matching = sum(kind for kind, _ in kinds)
    calibration = Calibration(
        precision,
        int(train.sum()),
        replace(_side(cosine, label, train, high), added=matching),
        replace(
            _side(-cosine, 1 - label, train, None if low is None else -low), threshold=low, added=len(kinds) - matching
        ),
    )
    source = "people+weak" if kinds else "people"
    return replace(people, table=pa.concat_tables([people.table, weak]), source=source), calibration


def find_thresholds(cosine: np.ndarray, labels: np.ndarray, precision: float) -> tuple[float | None, float | None]:
    """The widest two ranges of similarity with the requested precision.

    Args:
        cosine: (n,) of labelled pairs.
        labels: (n,) 0 or 1.
        precision: 0 to 1.

    Returns:
        (high, low): matching from `high` up, not matching up to `low`; None if no range reaches the confidence.
            high > low.
    """
    high = _threshold(cosine, labels, precision)
    mirrored = _threshold(-cosine, 1 - labels, precision)
    low = None if mirrored is None else -mirrored
    if high is not None and low is not None and high <= low:  # well separated labels leave room on both sides
        middle = (high + low) / 2
        above, below = cosine[cosine > middle], cosine[cosine <= middle]
        return (float(above.min()) if len(above) else None), (float(below.max()) if len(below) else None)
    return high, low


def _threshold(cosine: np.ndarray, labels: np.ndarray, precision: float) -> float | None:
    """The lowest labelled cosine above which the lower bound of the labels' precision is the requested one."""
    if not len(cosine):
        return None
    order = np.argsort(-cosine, kind="stable")
    ranked = cosine[order]
    hits = np.cumsum(labels[order])
    cut = np.append(ranked[1:] != ranked[:-1], True)  # don't cut between equal similarities
    enough = cut & (lower_bound(hits, np.arange(1, len(ranked) + 1)) >= precision)
    return float(ranked[np.flatnonzero(enough)[-1]]) if enough.any() else None


def lower_bound(right: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(n,) lower bound, 0 to 1, that the true precision exceeds with probability CONFIDENCE.

    Source: quantile of the beta posterior for a uniform prior and `right` of `of` successes.
    """
    from scipy.stats import beta  # lazy: slow to import

    return beta.ppf(1 - CONFIDENCE, 1 + right, 1 + of - right)


def _side(cosine: np.ndarray, labels: np.ndarray, train: np.ndarray, threshold: float | None) -> Side:
    """People's labels of the pairs beyond a threshold."""
    if threshold is None:
        return Side(None)
    seen, other = labels[train & (cosine >= threshold)], labels[~train & (cosine >= threshold)]
    return Side(threshold, len(seen), int(seen.sum()), len(other), int(other.sum()))
