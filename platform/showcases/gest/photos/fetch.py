"""Fetch one unit of photos into rows of `images`: each is verified by decoding; every photo gets a row."""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from showcases.gest.photos.sources import Raw, Source
from showcases.photos import PhotoError, PhotoTooLargeError, take_in
from showcases.storage.schemas import IMAGES

MAX_ERROR = 300  # characters
STATUSES = ("ok", "expired", "not_found", "corrupt", "too_large", "blocked", "failed")


@dataclass
class Intake:
    """Converts a source's results to rows, and counts them.

    Attributes:
        max_side, max_pixels: px, see FetchConfig.
        bytes_in: received so far.
    """

    max_side: int
    max_pixels: int
    bytes_in: int = 0

    def __call__(self, photo_id: str, raw: Raw) -> dict[str, Any]:
        """A row of `images`, with `same_as` not yet set."""
        self.bytes_in += raw.received
        row: dict[str, Any] = dict.fromkeys(IMAGES.names)
        row |= {"photo_id": photo_id, "status": raw.status, "error": raw.error and raw.error[:MAX_ERROR]}
        if raw.data is None:
            return row
        try:
            photo = take_in(raw.data, self.max_side, self.max_pixels)
        except PhotoTooLargeError as error:
            return row | {"status": "too_large", "error": str(error)[:MAX_ERROR]}
        except PhotoError as error:
            return row | {"status": "corrupt", "error": str(error)[:MAX_ERROR]}
        digest = hashlib.sha256(raw.data).hexdigest()
        return row | {"bytes": photo.data, "width": photo.width, "height": photo.height, "content_hash": digest}


@dataclass(frozen=True)
class Unit:
    """A fetched unit: rows of IMAGES in the requested order, and counters."""

    rows: list[dict[str, Any]]
    bytes_in: int
    cpu_seconds: float

    @property
    def contents(self) -> list[tuple[bytes, str]]:
        """First 16 bytes of the content hash, and id, of every photo with status ok."""
        return [(bytes.fromhex(row["content_hash"])[:16], row["photo_id"]) for row in self.rows if row["content_hash"]]

    def table(self, holders: list[str]) -> pa.Table:
        """The rows as IMAGES; duplicates without bytes.

        Args:
            holders: id of the photo that stores the bytes, for each of `contents`.
        """
        holding = iter(holders)
        for row in self.rows:
            if row["content_hash"] and (holder := next(holding)) != row["photo_id"]:
                row |= {"bytes": None, "same_as": holder}
        return pa.Table.from_pylist(self.rows, schema=IMAGES)

    def count(self, table: pa.Table) -> dict[str, float]:
        """Rows by status and sums, by their names in a Tally; the same names for every unit."""
        statuses = Counter(table["status"].to_pylist())
        stored = sum(len(data) for data in table["bytes"].to_pylist() if data is not None)
        outcomes = {f"outcome.{status}": float(statuses[status]) for status in STATUSES}
        amounts = {"bytes_in": self.bytes_in, "bytes_out": stored, "fetch_cpu_s": self.cpu_seconds}
        return {"rows": float(table.num_rows)} | outcomes | {f"amount.{k}": float(v) for k, v in amounts.items()}


def fetch_unit(source: Source, wanted: pa.Table, max_side: int, max_pixels: int) -> Unit:
    """Fetch and check the photos of one unit.

    Args:
        wanted: photo_id, url, and further columns of the source.
    """
    started = time.process_time()
    intake = Intake(max_side, max_pixels)
    rows = source.rows(wanted, intake)
    return Unit(rows, intake.bytes_in, time.process_time() - started)
