"""GEST-s1 and GEST-s2 by the paper's rules (section 3, Appendix A), from reviews, photos and alignments."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.artifacts import GEST_FT, GEST_S1, GEST_S2
from showcases.embeddings import EmbeddingTable
from showcases.gest.config import BuildConfig


@dataclass
class Gest:
    """The datasets, their figures (Table 1, Figure 3), and what was left out, by reason."""

    s1: pa.Table
    s2: pa.Table
    ft: pa.Table
    statistics: dict[str, dict[str, float]]
    left_out: dict[str, int]


def build_gest(
    reviews: pa.Table, photos: pa.Table, alignments: pa.Table, images: EmbeddingTable, config: BuildConfig
) -> Gest:
    """Build the datasets.

    s1 drops users with one review, then reviews none of whose photos can be had. s2 keeps, of the same users, the
    sentences that some photo of their review matches. The texts of users with one review are the corpus for
    fine-tuning ("Img GPT-2 + FT").
    """
    rows = reviews.to_pylist()
    left_out: Counter[str] = Counter()
    by_user: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_user[row["user_id"]].append(row["review_id"])
    single = [row for row in rows if len(by_user[row["user_id"]]) == 1]
    several = [row for row in rows if len(by_user[row["user_id"]]) > 1]
    left_out["s1: reviews of users with one review"] = len(single)
    kept = []
    for row in several:
        row["photo_ids"] = [name for name in row["photo_ids"] if name in images]
        history = [name for name in by_user[row["user_id"]] if name != row["review_id"]]
        row["history_review_ids"] = history[: config.max_history]
        if row["photo_ids"]:
            kept.append(row)
        else:
            left_out["s1: reviews without a photo that can be had"] += 1
    matched = _matched_sentences(alignments, config.threshold)
    explained = [{**row, "explanation": _explanation(row, matched)} for row in kept]
    left_out["s2: reviews no sentence of which matches a photo"] = sum(not row["explanation"] for row in explained)
    s1 = pa.Table.from_pylist(kept, schema=GEST_S1)
    s2 = pa.Table.from_pylist([row for row in explained if row["explanation"]], schema=GEST_S2)
    ft_rows = [{"review_id": row["review_id"], "text": _explanation(row, matched) or row["text"]} for row in single]
    ft = pa.Table.from_pylist(ft_rows, schema=GEST_FT)
    statistics = {
        "raw": table_1(rows, "text") | diversities(photos, images),
        "s1": table_1(kept, "text") | diversities(_photos_of(photos, kept), images),
        "s2": table_1(s2.to_pylist(), "explanation") | diversities(_photos_of(photos, s2.to_pylist()), images),
    }
    return Gest(s1, s2, ft, statistics, {name: count for name, count in left_out.items() if count})


def _matched_sentences(alignments: pa.Table, threshold: float) -> set[str]:
    scores = alignments["score"].to_numpy()
    return set(alignments["sentence_id"].filter(pa.array(scores >= threshold)).to_pylist())


def _explanation(row: dict[str, Any], matched: set[str]) -> str:
    said = enumerate(row["sentences"])
    return " ".join(sentence for number, sentence in said if f"{row['review_id']}:{number}" in matched)


def _photos_of(photos: pa.Table, rows: Iterable[dict[str, Any]]) -> pa.Table:
    names = {name for row in rows for name in row["photo_ids"]}
    return photos.filter(pa.array([name in names for name in photos["photo_id"].to_pylist()], pa.bool_()))


def table_1(rows: list[dict[str, Any]], text: str) -> dict[str, float]:
    """Table 1's columns: images, reviews, users, businesses, average words."""
    photos = {name for row in rows for name in row["photo_ids"]}
    return {
        "images": len(photos),
        "reviews": len(rows),
        "users": len({row["user_id"] for row in rows}),
        "businesses": len({row["business_id"] for row in rows}),
        "average_words": float(np.mean([len(row[text].split()) for row in rows])) if rows else float("nan"),
    }


def diversities(photos: pa.Table, images: EmbeddingTable) -> dict[str, float]:
    """Figure 3's three visual diversities, dis(m, n) = 1 - cos (Appendix B), pooled over all counted pairs.

    intra-business: all photo pairs of a business; inter-user: pairs of different users in one business; intra-user:
    pairs of one user in one business. Linear in the photos: the cosines of n unit vectors sum to (|sum|^2 - n) / 2
    over pairs. NaN where there is no pair.
    """
    rows = [row for row in photos.to_pylist() if row["photo_id"] in images]
    vectors = images.gather([row["photo_id"] for row in rows]).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    business = _pair_sums(vectors, [row["business_id"] for row in rows])
    user = _pair_sums(vectors, [(row["business_id"], row["user_id"]) for row in rows])
    between = (business[0] - user[0], business[1] - user[1])
    named = {"intra_business": business, "inter_user": between, "intra_user": user}
    return {name: 1 - cosines / pairs if pairs else float("nan") for name, (cosines, pairs) in named.items()}


def _pair_sums(vectors: np.ndarray, groups: list[Any]) -> tuple[float, float]:
    """Sum of cosines over all pairs within a group, over all groups, and the number of such pairs."""
    if not groups:
        return 0.0, 0.0
    number = {group: row for row, group in enumerate(dict.fromkeys(groups))}
    index = np.array([number[group] for group in groups])
    sums = np.zeros((len(number), vectors.shape[1]))
    np.add.at(sums, index, vectors)
    counts = np.bincount(index, minlength=len(number)).astype(np.float64)
    return float(((sums**2).sum(1) - counts).sum() / 2), float((counts * (counts - 1)).sum() / 2)
