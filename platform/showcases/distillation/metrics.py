"""The paper's two metrics of the classifier (AUC 0.97, F1 0.71), and the threshold for F1."""

import numpy as np


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Probability that a random positive scores above a random negative, ties counting half.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,), any scale.

    Returns:
        0 to 1; NaN if one class is missing.

    Source: Mann-Whitney U over the number of (positive, negative) pairs.
    """
    positive = np.asarray(labels) == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(sizes) - (sizes - 1) / 2  # of each group of equal scores, from 1
    return float((mean_rank[group][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def f1_score(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Harmonic mean of precision and recall, 0 to 1; 0 without true positives.

    Args:
        labels: (n,) 0 or 1.
        predicted: (n,) bool.
    """
    positive = np.asarray(labels) == 1
    found = int((positive & predicted).sum())
    total = int(positive.sum()) + int(np.sum(predicted))
    return 2 * found / total if total else 0.0


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The score threshold that maximises F1; 0.5 if no label is positive.

    It is halfway between two neighbouring scores, so that it does not depend on one example's rounding.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked, positive = np.asarray(scores, np.float64)[order], (np.asarray(labels) == 1)[order]
    if not positive.any():
        return 0.5
    found = np.cumsum(positive)
    f1 = 2 * found / (np.arange(1, len(ranked) + 1) + positive.sum())
    following = np.append(ranked[1:], 0.0)
    f1[ranked == following] = 0.0  # cannot cut between equal scores
    best = int(np.argmax(f1))
    return float((ranked[best] + following[best]) / 2)
