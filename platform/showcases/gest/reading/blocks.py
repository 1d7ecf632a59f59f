"""Parse a block of lines into checked reviews, then, once duplicates are known, into the rows to store.

In two steps, because detecting duplicates needs all earlier blocks: blocks are parsed in parallel, decided in order
(`Ledger`), and settled in parallel.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.digests import digest_ids
from showcases.gest.building.splits import user_keys
from showcases.gest.config import IngestConfig
from showcases.gest.reading.lines import RAW_BYTES, Block
from showcases.gest.reading.opening import BOM
from showcases.gest.reading.records import Record, parse_line
from showcases.gest.reading.rejects import Reason, Reject, RowError, rejects_table
from showcases.gest.reading.sentences import english_part, split_sentences
from showcases.gest.reading.word_count import count_words
from showcases.storage.schemas import PHOTOS, REVIEWS

PASSES, EMPTY, SHORT, MANY_PHOTOS = range(4)  # outcome of the paper's rules for a row


@dataclass
class BlockIndex:
    """Input of the decision on a block: small, regardless of the texts.

    Attributes:
        lines, blank: counts.
        rejected: number of invalid lines by reason.
        first: the first invalid line by reason.
        rules: (n,) one of PASSES, EMPTY, SHORT, MANY_PHOTOS, of each review.
        reviews: (n,) digests of the review ids.
        users: (p,) keys of the users of the p reviews that pass.
        photo_counts: (p,) photos per review.
        photos: (sum of photo_counts,) digests of the photo ids.
        bad_photos: unusable entries of `pics`, over all reviews.
    """

    lines: int
    blank: int
    rejected: Counter[Reason]
    first: dict[Reason, Reject]
    rules: np.ndarray
    reviews: np.ndarray
    users: np.ndarray
    photo_counts: np.ndarray
    photos: np.ndarray
    bad_photos: int


@dataclass
class BlockRows:
    """The reviews of a block that pass the rules, and its rejects.

    Attributes:
        table: (p) rows: REVIEWS without the split, and `urls` beside `photo_ids`.
        places: (n, 2) int64, line number and byte offset of each review.
        rejects: invalid lines, and lines with unusable photos.
    """

    table: pa.Table
    places: np.ndarray
    rejects: list[Reject]


@dataclass
class Decision:
    """Which rows of a block to store.

    Attributes:
        reviews: (p,) bool, over the reviews that pass.
        photos: bool, over their photos.
        duplicates: rows of `places` that are duplicates.
    """

    reviews: np.ndarray
    photos: np.ndarray
    duplicates: np.ndarray


@dataclass
class _Checked:
    records: list[Record] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    bad_photos: list[Reject] = field(default_factory=list)
    lines: int = 0
    blank: int = 0


def parse_block(block: Block, config: IngestConfig, seed: int) -> tuple[BlockIndex, BlockRows]:
    """Check every line of a block; split the texts that pass the paper's rules into sentences."""
    checked = _check(block, config)
    rules = np.array([_rule(record, config) for record in checked.records], np.int8)
    passing = [record for record, rule in zip(checked.records, rules, strict=True) if rule == PASSES]
    index = BlockIndex(
        lines=checked.lines,
        blank=checked.blank,
        rejected=Counter(reject.reason for reject in checked.rejects),
        first={reject.reason: reject for reject in reversed(checked.rejects)},
        rules=rules,
        reviews=digest_ids(record.review_id for record in checked.records),
        users=user_keys((record.user_id for record in passing), seed),
        photo_counts=np.array([len(record.pics) for record in passing], np.int64),
        photos=digest_ids(name for record in passing for name, _ in record.pics),
        bad_photos=sum(len(record.bad_pics) for record in checked.records),
    )
    places = np.array(checked.places, np.int64).reshape(-1, 2)
    return index, BlockRows(_table(passing), places, checked.rejects + checked.bad_photos)


def _check(block: Block, config: IngestConfig) -> _Checked:
    result = _Checked()
    for number, offset, line in block.lines():
        result.lines += 1
        length = block.oversized or len(line)
        try:
            if length > config.max_line_kb * 1024:
                raise RowError(Reason.LINE_TOO_LONG, f"{length} bytes; at most {config.max_line_kb} KiB are read")
            line = line.removeprefix(BOM)  # concatenated files may have it mid-file
            if not line.strip():
                result.blank += 1
                continue
            record = parse_line(line)
            result.records.append(record)
            result.places.append((number, offset))
            if record.bad_pics:
                detail = bad_photos(record)
                result.bad_photos.append(
                    Reject(number, offset, Reason.UNUSABLE_PHOTO, detail, line[:RAW_BYTES], block.file)
                )
        except RowError as error:
            result.rejects.append(Reject(number, offset, error.reason, error.detail, line[:RAW_BYTES], block.file))
    return result


def bad_photos(record: Record) -> str:
    """Describe a review's unusable photos, with the reason for the first."""
    bad, all_ = len(record.bad_pics), len(record.bad_pics) + len(record.pics)
    return record.bad_pics[0] if bad == 1 else f"{bad} of {all_}, the first: {record.bad_pics[0]}"


def _rule(record: Record, config: IngestConfig) -> int:
    if count_words(english_part(record.text)) < config.min_words:
        return SHORT if record.text.strip() else EMPTY
    return MANY_PHOTOS if len(record.pics) > config.max_photos else PASSES


def rule_names(config: IngestConfig) -> dict[int, str]:
    """Label of each rule in the counts of dropped rows."""
    return {
        EMPTY: "empty text",
        SHORT: f"fewer than {config.min_words} words",
        MANY_PHOTOS: f"more than {config.max_photos} photos",
    }


def _table(records: list[Record]) -> pa.Table:
    names = pa.list_(pa.string())
    columns = {
        "review_id": pa.array([record.review_id for record in records], pa.string()),
        "user_id": pa.array([record.user_id for record in records], pa.string()),
        "business_id": pa.array([record.business_id for record in records], pa.string()),
        "rating": pa.array([record.rating for record in records], pa.float32()),
        "text": pa.array([record.text for record in records], pa.string()),
        "sentences": pa.array(split_sentences((record.text for record in records), forget=True), names),
        "photo_ids": pa.array([[name for name, _ in record.pics] for record in records], names),
        "urls": pa.array([[url for _, url in record.pics] for record in records], names),
    }
    return pa.table(columns)


def settle(block: Block, rows: BlockRows, decision: Decision) -> tuple[pa.Table, pa.Table, pa.Table]:
    """A block's new rows: (reviews, photos, rejects); the reviews' splits are still null."""
    table, new = rows.table, decision.reviews
    owner = np.repeat(np.arange(table.num_rows), pc.list_value_length(table["photo_ids"]).to_numpy())
    owner, mask = owner[decision.photos], pa.array(decision.photos)
    photo_ids = pc.list_flatten(table["photo_ids"]).filter(mask).combine_chunks()
    urls = pc.list_flatten(table["urls"]).filter(mask)
    owners = table.select(["review_id", "user_id", "business_id"]).take(owner)
    photos = owners.append_column("photo_id", photo_ids).append_column("url", urls)
    ends = np.cumsum(np.bincount(owner, minlength=table.num_rows), dtype=np.int64)
    lists = pa.ListArray.from_arrays(pa.array(np.concatenate(([0], ends)), pa.int32()), photo_ids)
    reviews = table.set_column(table.column_names.index("photo_ids"), "photo_ids", lists)
    reviews = reviews.append_column("split", pa.nulls(table.num_rows, pa.string())).filter(pa.array(new))
    rejects = sorted(rows.rejects + _duplicates(block, rows, decision), key=lambda reject: reject.line)
    return (
        reviews.select(REVIEWS.names).cast(REVIEWS),
        photos.select(PHOTOS.names).cast(PHOTOS),
        rejects_table(rejects),
    )


def _duplicates(block: Block, rows: BlockRows, decision: Decision) -> list[Reject]:
    detail = "duplicate of an earlier review of this business by this user"
    found = []
    for line, offset in rows.places[decision.duplicates].tolist():
        start = offset - block.offset
        end = block.data.find(b"\n", start)
        raw = block.data[start : end if end >= 0 else None][:RAW_BYTES]
        found.append(Reject(line, offset, Reason.DUPLICATE_REVIEW, detail, raw, block.file))
    return found
