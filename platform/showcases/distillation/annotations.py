"""Convert votes on (sentence, photo) pairs to the classifier's training table (paper section 3.3)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.distillation.aggregation import Aggregate, Consensus, find_consensus
from showcases.distillation.agreement import Agreement, measure_agreement
from showcases.distillation.labelstudio import LabelledPair
from showcases.gest.building.matched import split_ids
from showcases.gest.building.ragged import flatten, owners
from showcases.ids import sentence_id
from showcases.storage.schemas import ANNOTATIONS

SPLITS = ("train", "val", "test")
Review = TypeVar("Review")


@dataclass(frozen=True)
class ReviewPairs:
    """A review's embedded sentences and photos.

    Attributes:
        sentences: sentence number in the review -> its text.
        photo_ids: its embedded photos.
    """

    review_id: str
    business_id: str
    sentences: Mapping[int, str]
    photo_ids: Sequence[str]

    def __len__(self) -> int:
        """Number of (sentence, photo) pairs."""
        return len(self.sentences) * len(self.photo_ids)


@dataclass(frozen=True)
class Dispute:
    """A pair on which annotators disagree, its label, if any, and Φ's score, 0 to 1."""

    pair: LabelledPair
    sentence_id: str
    label: int | None
    score: float | None = None


@dataclass(frozen=True)
class AnnotationSet:
    """The annotations table with its statistics.

    Attributes:
        table: with the schema of `annotations`.
        dropped: number of dropped pairs by reason.
        source: people, weak (no labels by people), or people+weak (too few labels, supplemented).
        agreement: of the annotators; None without votes.
        consensus: result of the aggregation; None without votes.
        disputes: pairs of this corpus on which the votes differ.
    """

    table: pa.Table
    source: str
    agreement: Agreement | None = None
    consensus: Consensus | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    disputes: list[Dispute] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, int]:
        """Number of all pairs, matching pairs, and pairs by split."""
        splits = Counter(self.table["split"].to_pylist())
        return {
            "pairs": self.table.num_rows,
            "matching": sum(self.table["label"].to_pylist()),
            **{split: splits[split] for split in SPLITS},
        }


def review_pairs(reviews: pa.Table, sentences: Iterable[str], photos: Iterable[str]) -> list[ReviewPairs]:
    """The reviews with at least one (sentence, photo) pair.

    Args:
        reviews: columns review_id, business_id, sentences, photo_ids.
        sentences: ids of embedded sentences.
        photos: ids of embedded photos.
    """
    known_sentences, known_photos = set(sentences), set(photos)
    result = []
    for row in reviews.select(["review_id", "business_id", "sentences", "photo_ids"]).to_pylist():
        texts = {
            number: text
            for number, text in enumerate(row["sentences"] or ())
            if sentence_id(row["review_id"], number) in known_sentences
        }
        photo_ids = [name for name in dict.fromkeys(row["photo_ids"] or ()) if name in known_photos]
        if texts and photo_ids:
            result.append(ReviewPairs(row["review_id"], row["business_id"], texts, photo_ids))
    return result


@dataclass(frozen=True)
class Pairable:
    """The reviews with at least one pair, as Arrow columns; creates Python objects only on request.

    Attributes:
        reviews: as for `review_pairs`.
        sentences: ids of embedded sentences, e.g. `EmbeddingShards.all_ids()`.
        photos: ids of embedded photos.
    """

    reviews: pa.Table
    sentences: pa.ChunkedArray
    photos: pa.ChunkedArray

    def rows(self, review_ids: Iterable[str] | None = None) -> list[int]:
        """Row numbers of the reviews with a sentence and a photo; only those in `review_ids`, if given."""
        names, lengths = flatten(self.reviews["photo_ids"])
        usable = np.asarray(pc.is_in(names, value_set=self.photos))
        found = np.bincount(owners(lengths)[usable], minlength=len(lengths)) > 0
        found &= np.asarray(pc.is_in(self.reviews["review_id"], value_set=split_ids(self.sentences)[0]))
        if review_ids is not None:
            wanted = pa.array(sorted(set(review_ids)), pa.string())
            found &= np.asarray(pc.is_in(self.reviews["review_id"], value_set=wanted))
        return np.flatnonzero(found).tolist()

    def pairs(self, rows: Sequence[int]) -> list[ReviewPairs]:
        """The pairs of the reviews in these rows."""
        chosen = self.reviews.take(pa.array(rows, pa.int64()))
        said = self.sentences.filter(pc.is_in(split_ids(self.sentences)[0], value_set=chosen["review_id"]))
        names = flatten(chosen["photo_ids"])[0]
        shown = names.filter(pc.is_in(names, value_set=self.photos))
        return review_pairs(chosen, said.to_pylist(), shown.to_pylist())


def sample_reviews(reviews: Sequence[Review], count: int, seed: int) -> list[Review]:
    """`count` reviews (or all), drawn without replacement, in the given order."""
    order = np.random.default_rng(seed).permutation(len(reviews))[:count]
    return [reviews[i] for i in sorted(order)]


def split_by_review(review_ids: Iterable[str], seed: int) -> dict[str, str]:
    """train, val or test, 8:1:1, for each review; with three or more reviews no part is empty."""
    unique = sorted(set(review_ids))
    order = np.random.default_rng(seed).permutation(len(unique))
    held_out = max(1, round(len(unique) / 10)) if len(unique) >= 3 else 0
    parts = ["test"] * held_out + ["val"] * held_out
    return {unique[i]: parts[place] if place < len(parts) else "train" for place, i in enumerate(order)}


def from_votes(
    labelled: Sequence[LabelledPair],
    reviews: Iterable[ReviewPairs],
    seed: int,
    dropped: Mapping[str, int] | None = None,
    aggregate: Aggregate = "majority",
) -> AnnotationSet:
    """Aggregate votes to one label per pair of this corpus.

    Args:
        labelled: pairs with votes, from `read_exports`.
        reviews: the corpus' pairs, from `review_pairs`.
        seed: of the 8:1:1 split by review.
        dropped: counts to add to (from `read_exports`).
        aggregate: aggregation method.

    Returns:
        The table. Dropped and counted: `ties`, `unknown_review`, `unknown_sentence`, `unknown_photo`. Agreement and
        consensus are over all pairs with votes, including ties and unknown ones.
    """
    by_id = {review.review_id: review for review in reviews}
    counts = Counter(dict(dropped or {})) + Counter()
    consensus = find_consensus(labelled, aggregate)
    rows, disputes = [], []
    for pair, label in zip(labelled, consensus.labels, strict=True):
        sentence_id, problem = _match(pair, by_id)
        if not problem and len(set(pair.votes)) > 1:
            disputes.append(Dispute(pair, sentence_id, label))
        if label is None:
            problem = problem or "ties"
        if problem:
            counts[problem] += 1
            continue
        rows.append((sentence_id, pair.photo_id, pair.review_id, list(pair.votes), label))
    table = annotation_table(rows, "people", split_by_review((row[2] for row in rows), seed))
    return AnnotationSet(table, "people", measure_agreement(labelled), consensus, dict(counts), disputes)


def annotation_table(rows: Sequence[tuple[Any, ...]], source: str, split: Mapping[str, str]) -> pa.Table:
    """Rows of (sentence_id, photo_id, review_id, votes, label) in the schema of `annotations`."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(5)]
    splits = [split[review_id] for review_id in columns[2]]
    return pa.table([*columns, [source] * len(rows), splits], schema=ANNOTATIONS)


def _match(pair: LabelledPair, reviews: Mapping[str, ReviewPairs]) -> tuple[str, str]:
    """(sentence id, "") or ("", why the pair is not in this corpus). Matches by text; the number breaks ties."""
    review = reviews.get(pair.review_id)
    if review is None:
        return "", "unknown_review"
    if pair.photo_id not in review.photo_ids:
        return "", "unknown_photo"
    same = [number for number, text in review.sentences.items() if text.split() == pair.sentence.split()]
    if not same:
        return "", "unknown_sentence"
    number = pair.sentence_index if pair.sentence_index in same else same[0]
    return sentence_id(pair.review_id, number), ""
