"""The official files of GEST-raw, read as a stream into the tables that every step after works on."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.artifacts import PHOTOS, REVIEWS
from showcases.errors import CorpusError
from showcases.gest.config import IngestConfig
from showcases.gest.sentences import english_part, split_sentences

SPLITS = (("train", 0.8), ("val", 0.1), ("test", 0.1))


@dataclass
class Corpus:
    """The two tables, and what was left out of them, by reason."""

    reviews: pa.Table
    photos: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)


def read_raw(path: Path, config: IngestConfig, seed: int) -> Corpus:
    """Read `image_review_all.json`: newline-delimited JSON, one review a line (paper section 3, Appendix A).

    Raises:
        CorpusError: the file does not exist, or not one line of it is a review.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; give GEST-raw's image_review_all.json with --reviews")
    left_out: Counter[str] = Counter()
    rows = list(_kept_rows(path, config, left_out))
    if not rows:
        raise CorpusError(
            f"{path}: no review could be kept ({dict(left_out)}); expected one JSON object a line with "
            "business_id, user_id, rating, review_text, pics"
        )
    sentences = split_sentences(row["text"] for row in rows)
    split = split_users({row["user_id"] for row in rows}, seed)
    reviews = [
        {**row, "sentences": said, "split": split[row["user_id"]], "photo_ids": [name for name, _ in row["pics"]]}
        for row, said in zip(rows, sentences, strict=True)
    ]
    photos = [
        {"photo_id": name, "url": url, **{key: row[key] for key in ("review_id", "user_id", "business_id")}}
        for row in rows
        for name, url in row["pics"]
    ]
    for row in reviews:
        del row["pics"]
    return Corpus(
        pa.Table.from_pylist(reviews, schema=REVIEWS), pa.Table.from_pylist(photos, schema=PHOTOS), dict(left_out)
    )


def split_users(users: set[str], seed: int) -> dict[str, str]:
    """Train, val or test for each user, 8:1:1; the same for the same users and seed."""
    ordered = sorted(users, key=lambda user: hashlib.sha256(f"{seed}:{user}".encode()).digest())
    bounds = np.cumsum([share for _, share in SPLITS]) * len(ordered)
    names = [name for name, _ in SPLITS]
    return {user: names[int(np.searchsorted(bounds, rank + 0.5))] for rank, user in enumerate(ordered)}


def _kept_rows(path: Path, config: IngestConfig, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    taken: set[str] = set()  # photo ids
    with path.open("rb") as stream:
        for line in stream:
            if not line.strip():
                continue
            row, problem = _parse(line)
            if row is None:
                left_out[problem] += 1
            elif row["review_id"] in seen:
                left_out["duplicate review"] += 1
            elif len(english_part(row["text"]).split()) < config.min_words:
                left_out[f"fewer than {config.min_words} words" if row["text"].strip() else "empty text"] += 1
            elif len(row["pics"]) > config.max_photos:
                left_out[f"more than {config.max_photos} photos"] += 1
            else:
                seen.add(row["review_id"])
                repeated = [name for name, _ in row["pics"] if name in taken]
                left_out["photo of an earlier review"] += len(repeated)
                row["pics"] = [(name, url) for name, url in row["pics"] if name not in taken]
                taken.update(name for name, _ in row["pics"])
                if not row["pics"]:
                    left_out["no photo"] += 1
                    continue
                yield row
    for reason in [reason for reason, count in left_out.items() if not count]:
        del left_out[reason]


def _parse(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        raw = json.loads(line)
        user, business = str(raw["user_id"]), str(raw["business_id"])
        row = {
            "review_id": f"{user}_{business}",
            "user_id": user,
            "business_id": business,
            "rating": None if raw.get("rating") is None else float(raw["rating"]),
            "text": raw["review_text"] or "",
            "pics": _pics(raw["pics"] or []),
        }
    except (ValueError, UnicodeDecodeError):
        return None, "not JSON, or not UTF-8"
    except (KeyError, TypeError, IndexError):
        return None, "a field is missing or of a wrong type"
    if not isinstance(row["text"], str) or not user or not business:
        return None, "a field is missing or of a wrong type"
    return row, ""


def _pics(raw: list[Any]) -> list[tuple[str, str | None]]:
    """(photo id, URL) of each pic, in the dict form or as a bare id; each id once."""
    pics: dict[str, str | None] = {}
    for pic in raw:
        if isinstance(pic, str):
            pics.setdefault(pic, None)
        else:
            url = pic.get("url")
            pics.setdefault(str(pic["id"]), url[0] if isinstance(url, list) and url else url or None)
    return list(pics.items())
