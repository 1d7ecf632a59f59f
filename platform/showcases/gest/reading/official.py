"""Convert GEST-raw's official file to tables: the sequential decisions, and the whole conversion in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from showcases.errors import CorpusError
from showcases.gest.building.digests import DigestSet
from showcases.gest.building.splits import split_cuts, split_of, split_users, user_keys
from showcases.gest.config import IngestConfig
from showcases.gest.reading.blocks import PASSES, BlockIndex, Decision, parse_block, rule_names, settle
from showcases.gest.reading.input_check import EXPECTED, check_reviews
from showcases.gest.reading.lines import read_blocks
from showcases.gest.reading.opening import Given, shown
from showcases.gest.reading.rejects import Reason, Reject
from showcases.storage.schemas import PHOTOS, REJECTS, REVIEWS

__all__ = ["Corpus", "Ledger", "fill_split", "read_raw", "split_users"]


@dataclass
class Corpus:
    """The tables, and counts of dropped rows by reason."""

    reviews: pa.Table
    photos: pa.Table
    rejects: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)


class Ledger:
    """Decides, in file order, which reviews and photos of each block are new. Stores digests, not rows.

    Attributes:
        lines, blank, stored, photos: counted so far; `photos` are the stored ones.
        rejected: number of invalid and duplicate lines by reason.
        first: the first invalid line by reason.
        left_out: number of rows dropped by each rule of the paper.
        repeated_photos: photos of stored reviews that an earlier review also has.
        bad_photos: unusable entries of `pics`.
    """

    def __init__(self, config: IngestConfig) -> None:
        self.config = config
        self.lines = self.blank = self.stored = self.photos = self.repeated_photos = self.bad_photos = 0
        self.rejected: Counter[str] = Counter()
        self.first: dict[Reason, Reject] = {}
        self.left_out: Counter[str] = Counter()
        self._reviews, self._taken, self._users = DigestSet(), DigestSet(), DigestSet()

    def decide(self, index: BlockIndex) -> Decision:
        """Decide on the next block."""
        passes = index.rules == PASSES
        known = self._reviews.contains(index.reviews)  # in an earlier block
        fresh = self._reviews.add(index.reviews[passes])
        duplicate = known | self._repeated(index, passes, known)
        duplicate[passes] = ~fresh
        shown = np.repeat(fresh, index.photo_counts)
        photos = np.zeros(len(index.photos), bool)
        photos[shown] = self._taken.add(index.photos[shown])
        owner = np.repeat(np.arange(len(fresh)), index.photo_counts)
        stored = fresh & (np.bincount(owner[photos], minlength=len(fresh)) > 0)
        self._users.add(index.users[stored])
        self._count(index, duplicate, stored=int(stored.sum()), without=int((fresh & ~stored).sum()))
        self.photos += int(photos.sum())
        self.bad_photos += index.bad_photos
        self.repeated_photos += int(shown.sum() - photos.sum())
        return Decision(stored, photos, np.flatnonzero(duplicate))

    def _repeated(self, index: BlockIndex, passes: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(n,) bool: rows that fail a rule and duplicate a passing row of the same block."""
        repeated = np.zeros(len(passes), bool)
        maybe = ~passes & ~known & self._reviews.contains(index.reviews)
        for row in np.flatnonzero(maybe):
            repeated[row] = (index.reviews[:row][passes[:row]] == index.reviews[row]).any()
        return repeated

    def _count(self, index: BlockIndex, duplicate: np.ndarray, stored: int, without: int) -> None:
        self.lines += index.lines
        self.blank += index.blank
        self.stored += stored
        self.rejected.update({str(reason): count for reason, count in index.rejected.items()})
        self.first = index.first | self.first
        self.rejected[str(Reason.DUPLICATE_REVIEW)] += int(duplicate.sum())
        for code, name in rule_names(self.config).items():
            self.left_out[name] += int(((index.rules == code) & ~duplicate).sum())
        self.left_out["no photo"] += without

    def explain_rejects(self) -> str:
        """Rejected lines by reason, most frequent first, each with an example."""
        parts = []
        for reason, count in (+self.rejected).most_common():
            first = self.first.get(Reason(reason))
            parts.append(f"{reason} {count:,}" + (f" (first in line {first.line}: {first.detail})" if first else ""))
        return "; ".join(parts)

    @property
    def users(self) -> int:
        return len(self._users)

    @property
    def counts(self) -> dict[str, int]:
        """Counts of everything that is not in the tables, by reason: lines, and photos as in `photo_counts`."""
        found = {**self.rejected, **self.left_out, **self.photo_counts}
        return {reason: count for reason, count in found.items() if count}

    @property
    def photo_counts(self) -> dict[str, int]:
        """Counts of photos that are not in the table, by reason."""
        return {
            "photo of an earlier review": self.repeated_photos,
            str(Reason.UNUSABLE_PHOTO): self.bad_photos,
        }

    def cuts(self) -> np.ndarray:
        """Where val and test begin among the keys of the stored users (see `split_cuts`)."""
        return split_cuts(self._users.values())

    def check(self, files: Sequence[str]) -> None:
        """Check that the corpus is not empty.

        Raises:
            CorpusError: no review was stored.
        """
        if not self.stored:
            left_out = [f"{rule} {count:,}" for rule, count in self.left_out.items() if count]
            counts = "; ".join(filter(None, [self.explain_rejects(), *left_out])) or "no lines"
            raise CorpusError(f"{', '.join(map(shown, files))}: no usable review ({counts}); {EXPECTED}")


def fill_split(reviews: pa.Table, cuts: np.ndarray, seed: int) -> pa.Table:
    """The reviews with the split of their users."""
    split = split_of(user_keys(reviews["user_id"].to_pylist(), seed), cuts)
    return reviews.set_column(reviews.column_names.index("split"), "split", pa.array(split, pa.string()))


def read_raw(given: Given, config: IngestConfig, seed: int) -> Corpus:
    """Read `image_review_all.json`: newline-delimited JSON, one review per line (paper section 3, Appendix A).

    In this process and in memory; `jobs.ingest` does the same block by block.

    Args:
        given: one file or several (see `find_files`), read one after the other.

    Raises:
        CorpusError: a file can't be read (see `check_reviews`), or no review is usable.
    """
    ledger, parts, files = Ledger(config), [], check_reviews(given)
    for block in read_blocks(files, config.block_kb * 1024, config.max_line_kb * 1024):
        index, rows = parse_block(block, config, seed)
        parts.append(settle(block, rows, ledger.decide(index)))
    ledger.check(files)
    reviews, photos, rejects = (_joined(tables) for tables in zip(*parts, strict=True))
    return Corpus(
        fill_split(reviews.cast(REVIEWS), ledger.cuts(), seed),
        photos.cast(PHOTOS),
        rejects.cast(REJECTS),
        ledger.counts,
    )


def _joined(tables: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()
