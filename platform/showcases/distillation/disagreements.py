"""The pairs on which annotators disagree: to inspect, and to label again in the next round."""

import csv
import io
from collections.abc import Iterable, Sequence

from showcases.distillation.annotations import Dispute


def rank(disputes: Iterable[Dispute]) -> list[Dispute]:
    """Sort by the evenness of votes, then by Φ's uncertainty, if known; most uncertain first."""

    def key(dispute: Dispute) -> tuple[float, float]:
        votes = dispute.pair.votes
        unsure = 1.0 if dispute.score is None else abs(dispute.score - 0.5)
        return abs(sum(votes) / len(votes) - 0.5), unsure

    return sorted(disputes, key=key)


def as_csv(disputes: Sequence[Dispute]) -> str:
    """One row per pair, one column per annotator (match, no match, or empty), and the sentence."""
    people = sorted({who for dispute in disputes for who in dispute.pair.annotators})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sentence_id", "photo_id", "match", "no match", *people, "label", "phi", "sentence"])
    for dispute in disputes:
        pair = dispute.pair
        said = dict(zip(pair.annotators, ("match" if vote else "no match" for vote in pair.votes), strict=True))
        counts = [sum(pair.votes), len(pair.votes) - sum(pair.votes)]
        label = "" if dispute.label is None else dispute.label
        score = "" if dispute.score is None else f"{dispute.score:.4f}"
        answers = [said.get(who, "") for who in people]
        writer.writerow([dispute.sentence_id, pair.photo_id, *counts, *answers, label, score, pair.sentence])
    return text.getvalue()
