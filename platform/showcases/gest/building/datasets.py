"""GEST-s1 and GEST-s2 by the paper's rules (section 3, Appendix A), from reviews, photos and alignments.

Works on Arrow columns and row numbers: GEST-raw's 1.8 million reviews as Python objects would need tens of GB.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.diversity import diversities
from showcases.gest.building.history import histories
from showcases.gest.building.matched import explanations, matched_sentences
from showcases.gest.building.ragged import flatten, keep, owners
from showcases.gest.building.statistics import table_1
from showcases.gest.config import BuildConfig
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable
from showcases.storage.schemas import GEST_FT, GEST_S1, GEST_S2


@dataclass
class Gest:
    """The datasets, their statistics (Table 1, Figure 3), and counts of dropped rows by reason."""

    s1: pa.Table
    s2: pa.Table
    ft: pa.Table
    statistics: dict[str, dict[str, float]]
    left_out: dict[str, int]


def build_gest(
    reviews: pa.Table,
    photos: pa.Table,
    alignments: pa.Table,
    images: EmbeddingTable | EmbeddingShards,
    config: BuildConfig,
) -> Gest:
    """Build the datasets.

    s1 drops users with one review, then reviews without an available photo. s2 contains, for the same users, the
    sentences that match some photo of their review. The texts of users with one review are the corpus for
    fine-tuning ("Img GPT-2 + FT").

    Args:
        reviews: the artifact.
        photos: columns photo_id, user_id, business_id.
        alignments: columns sentence_id, score; pairs below the threshold may be missing.
        images: the photos' vectors; a photo is available if it has one.
    """
    users = reviews["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    several = np.bincount(users)[users] > 1
    named, per_review = flatten(reviews["photo_ids"])
    is_available = np.asarray(pc.is_in(named, value_set=images.all_ids()))
    photo_ids = keep(named, per_review, is_available)
    texts = explanations(reviews, matched_sentences(alignments, config.threshold))
    usable = several & (np.asarray(pc.list_value_length(photo_ids)) > 0)
    explained = usable & np.asarray(pc.not_equal(texts, ""))
    left_out = {
        "s1: reviews of users with one review": np.sum(~several),
        "s1: reviews without an available photo": np.sum(several & ~usable),
        "s2: reviews no sentence of which matches a photo": np.sum(usable & ~explained),
    }
    rows = reviews.select(["review_id", "user_id", "business_id", "split"])
    rows = rows.append_column("photo_ids", photo_ids).append_column("explanation", texts).filter(pa.array(usable))
    past = histories(users, reviews["review_id"], np.flatnonzero(usable), config.max_history)
    rows = rows.append_column("history_review_ids", past)
    s1 = rows.select(GEST_S1.names).cast(GEST_S1)
    s2 = rows.filter(pa.array(explained[usable])).select(GEST_S2.names).cast(GEST_S2)
    raw_photos = named.filter(pa.array(is_available | ~several[owners(per_review)]))
    counts = {
        "raw": table_1(reviews, "text", raw_photos),
        "s1": table_1(reviews.filter(pa.array(usable)), "text", flatten(s1["photo_ids"])[0]),
        "s2": table_1(s2, "explanation", flatten(s2["photo_ids"])[0]),
    }
    statistics = _with_diversities(counts, photos, images, s1, s2)
    left = {reason: int(count) for reason, count in left_out.items() if count}
    return Gest(s1, s2, _fine_tuning(reviews, texts, ~several), statistics, left)


def _fine_tuning(reviews: pa.Table, texts: pa.ChunkedArray, alone: np.ndarray) -> pa.Table:
    """Texts of users with one review: the explanation, or the whole text if nothing matches."""
    texts = pc.if_else(pc.equal(texts, ""), reviews["text"], texts)
    table = pa.table({"review_id": reviews["review_id"], "text": texts}, schema=GEST_FT)
    return table.filter(pa.array(alone))


def _with_diversities(
    counts: dict[str, dict[str, float]],
    photos: pa.Table,
    images: EmbeddingTable | EmbeddingShards,
    s1: pa.Table,
    s2: pa.Table,
) -> dict[str, dict[str, float]]:
    """Columns of Table 1 and Figure 3 for each set."""
    names = photos["photo_id"]
    members = {"raw": np.ones(photos.num_rows, bool)}
    for name, table in (("s1", s1), ("s2", s2)):
        members[name] = np.asarray(pc.is_in(names, value_set=flatten(table["photo_ids"])[0]))
    spread = diversities(photos, images, members)
    return {name: figures | spread[name] for name, figures in counts.items()}
