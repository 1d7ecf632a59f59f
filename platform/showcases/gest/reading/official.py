"""GEST-raw's official file to tables: what is decided in the file's order, and the whole of it for files that fit."""

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
    """The tables, and what was left out of them, by reason."""

    reviews: pa.Table
    photos: pa.Table
    rejects: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)


class Ledger:
    """Decides on blocks in the file's order: which reviews and photos are new. Holds digests, never rows.

    Attributes:
        lines, blank, kept, photos: counted so far; `photos` are the kept ones.
        rejected: lines that are no review or a second copy, by reason.
        first: the first line that is no review, by reason.
        left_out: rows that a rule of the paper leaves out, by rule.
        repeated_photos: photos of kept reviews that an earlier review has shown.
        bad_photos: entries of `pics` that can't be used.
    """

    def __init__(self, config: IngestConfig) -> None:
        self.config = config
        self.lines = self.blank = self.kept = self.photos = self.repeated_photos = self.bad_photos = 0
        self.rejected: Counter[str] = Counter()
        self.first: dict[Reason, Reject] = {}
        self.left_out: Counter[str] = Counter()
        self._reviews, self._taken, self._users = DigestSet(), DigestSet(), DigestSet()

    def decide(self, index: BlockIndex) -> Decision:
        """What is kept of the next block."""
        passes = index.rules == PASSES
        known = self._reviews.contains(index.reviews)  # in an earlier block
        fresh = self._reviews.add(index.reviews[passes])
        duplicate = known | self._repeated(index, passes, known)
        duplicate[passes] = ~fresh
        shown = np.repeat(fresh, index.photo_counts)
        photos = np.zeros(len(index.photos), bool)
        photos[shown] = self._taken.add(index.photos[shown])
        owner = np.repeat(np.arange(len(fresh)), index.photo_counts)
        kept = fresh & (np.bincount(owner[photos], minlength=len(fresh)) > 0)
        self._users.add(index.users[kept])
        self._count(index, duplicate, kept=int(kept.sum()), without=int((fresh & ~kept).sum()))
        self.photos += int(photos.sum())
        self.bad_photos += index.bad_photos
        self.repeated_photos += int(shown.sum() - photos.sum())
        return Decision(kept, photos, np.flatnonzero(duplicate))

    def _repeated(self, index: BlockIndex, passes: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(n,) rows that no rule lets pass and that repeat a passing row of the same block."""
        repeated = np.zeros(len(passes), bool)
        maybe = ~passes & ~known & self._reviews.contains(index.reviews)
        for row in np.flatnonzero(maybe):
            repeated[row] = (index.reviews[:row][passes[:row]] == index.reviews[row]).any()
        return repeated

    def _count(self, index: BlockIndex, duplicate: np.ndarray, kept: int, without: int) -> None:
        self.lines += index.lines
        self.blank += index.blank
        self.kept += kept
        self.rejected.update({str(reason): count for reason, count in index.rejected.items()})
        self.first = index.first | self.first
        self.rejected[str(Reason.DUPLICATE_REVIEW)] += int(duplicate.sum())
        for code, name in rule_names(self.config).items():
            self.left_out[name] += int(((index.rules == code) & ~duplicate).sum())
        self.left_out["no photo"] += without

    def explain_rejects(self) -> str:
        """Rejected lines by reason, the most first, each with its first line and what was found there."""
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
        """Everything that is not in the tables, by reason: lines, and the photos named by `photo_counts`."""
        found = {**self.rejected, **self.left_out, **self.photo_counts}
        return {reason: count for reason, count in found.items() if count}

    @property
    def photo_counts(self) -> dict[str, int]:
        """Photos that are not in the table, by reason."""
        return {
            "photo of an earlier review": self.repeated_photos,
            str(Reason.UNUSABLE_PHOTO): self.bad_photos,
        }

    def cuts(self) -> np.ndarray:
        """Where val and test begin among the keys of the users that were kept (see `split_cuts`)."""
        return split_cuts(self._users.values())

    def check(self, files: Sequence[str]) -> None:
        """Check that something is left of the corpus.

        Raises:
            CorpusError: not one review was kept.
        """
        if not self.kept:
            left_out = [f"{rule} {count:,}" for rule, count in self.left_out.items() if count]
            counts = "; ".join(filter(None, [self.explain_rejects(), *left_out])) or "no line in it"
            raise CorpusError(f"{', '.join(map(shown, files))}: no review could be kept ({counts}); {EXPECTED}")


def fill_split(reviews: pa.Table, cuts: np.ndarray, seed: int) -> pa.Table:
    """The reviews with the split of their users."""
    split = split_of(user_keys(reviews["user_id"].to_pylist(), seed), cuts)
    return reviews.set_column(reviews.column_names.index("split"), "split", pa.array(split, pa.string()))


def read_raw(given: Given, config: IngestConfig, seed: int) -> Corpus:
    """Read `image_review_all.json`: newline-delimited JSON, one review a line (paper section 3, Appendix A).

    In this process and into memory; `jobs.ingest` does the same by the block.

    Args:
        given: one file or several (see `find_files`), read one after the other.

    Raises:
        CorpusError: a file can't be read (see `check_reviews`), or no review could be kept.
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
