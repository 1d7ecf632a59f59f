"""The flow: every artifact, its Arrow schema, the step that writes it, and the manifest that marks it as finished.

Names and order are the same as in the README's table and in `jobs/pipeline.py`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from showcases.storage.schemas import (
    ALIGNMENTS,
    ANNOTATIONS,
    EMBED_FAILURES,
    GEST_FT,
    GEST_S1,
    GEST_S2,
    IMAGES,
    PHOTOS,
    REJECTS,
    REVIEWS,
)


@dataclass(frozen=True)
class Artifact:
    """One artifact of the flow: its folder's name, the step that writes it, its format.

    Attributes:
        row_group: maximum rows per Parquet row group, the smallest unit that can be read.
        counted: name of the manifest's count that must equal the rows of its Parquet files; None disables the check.
        counts_failures: whether failures have rows, too.
        is_in_use: whether a service reads it while it is written; it has its own versions, and no staging folder.
    """

    name: str
    step: str
    form: str
    schema: pa.Schema | None = None
    row_group: int | None = None
    counted: str | None = None
    counts_failures: bool = False
    is_in_use: bool = False

    @property
    def is_parquet(self) -> bool:
        return self.form.startswith("Parquet")


FLOW: tuple[Artifact, ...] = (
    Artifact("reviews", "ingest", "Parquet, one row a review", REVIEWS, row_group=4096, counted="reviews"),
    Artifact("photos", "ingest", "Parquet, one row a photo", PHOTOS, counted="photos"),
    Artifact("rejects", "ingest", "Parquet, one row a line of the file that is no review", REJECTS, counted="rejects"),
    Artifact(
        "images",
        "fetch_images",
        "Parquet shards: the JPEG bytes and a status a photo",
        IMAGES,
        row_group=256,
        counted="ok",
        counts_failures=True,
    ),
    Artifact("clip", "train_clip", "open_clip config + safetensors"),
    Artifact("image_embeddings", "embed", "Parquet: id, unit float16 vector", counted="vectors"),
    Artifact("sentence_embeddings", "embed", "Parquet: id, unit float16 vector", counted="vectors"),
    Artifact("embed_failures", "embed", "Parquet: photos that don't decode, and why", EMBED_FAILURES, counted="photos"),
    Artifact("annotations", "annotate", "Parquet: (sentence, photo), votes, label", ANNOTATIONS, counted="pairs"),
    Artifact("classifier", "distill", "safetensors + config + metrics"),
    Artifact("alignments", "distill", "Parquet: (sentence, photo), score", ALIGNMENTS, counted="pairs"),
    Artifact("gest_s1", "build_gest", "Parquet, one row a review, split by user", GEST_S1, counted="reviews"),
    Artifact("gest_s2", "build_gest", "Parquet, one row a review, split by user", GEST_S2, counted="reviews"),
    Artifact("gest_ft", "build_gest", "Parquet: texts of users with one review", GEST_FT, counted="reviews"),
    Artifact("selector", "train_selector", "a folder a variant: safetensors + config + metrics"),
    Artifact("generator", "train_generator", "a folder a variant: safetensors + config + tokenizer + metrics"),
    Artifact("report", "evaluate", "Markdown, CSV, one HTML page with the gallery"),
    Artifact("catalog", "publish", "LanceDB tables photos and reviews, indexed", is_in_use=True),
)
ARTIFACTS: dict[str, Artifact] = {artifact.name: artifact for artifact in FLOW}


@dataclass(frozen=True)
class Manifest:
    """Provenance and counts of an artifact. A folder without a manifest is unfinished.

    Attributes:
        inputs: manifest digest of each artifact that was read.
        rows, failures: counts by kind.
        claim: token of the run that wrote it; artifacts written by one run share it.
        folder: folder of the files under the workspace root; "" is the default one (see showcases.storage.builds).
        stored: totals of the files: files, bytes and, for Parquet, rows.
    """

    artifact: str
    step: str
    config: dict[str, Any]
    inputs: dict[str, str]
    code_version: str
    created: str  # UTC, ISO 8601
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    claim: str = ""
    folder: str = ""
    stored: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: changes whenever the artifact is rebuilt."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def made_from(self, config: dict[str, Any], inputs: dict[str, str]) -> bool:
        """Whether the same config and inputs made this artifact."""
        plain = json.loads(json.dumps(config))
        return self.config == plain and self.inputs == inputs
