"""The flow: every artifact's place under the workspace root, its Arrow schema, its producer.

The names here, in the README's table and in `jobs/pipeline.py` are the same, in the same order.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from showcases.errors import ArtifactError

MANIFEST = "manifest.json"

REVIEWS = pa.schema(
    [
        ("review_id", pa.string()),  # <user_id>_<business_id>
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("rating", pa.float32()),  # 1 to 5, null where the file has none
        ("text", pa.string()),  # as written
        ("sentences", pa.list_(pa.string())),  # sentence i has the id <review_id>:<i>
        ("photo_ids", pa.list_(pa.string())),
        ("split", pa.string()),  # train, val or test, by user
    ]
)
PHOTOS = pa.schema([(name, pa.string()) for name in ("photo_id", "review_id", "user_id", "business_id", "url")])
IMAGES = pa.schema(
    [
        ("photo_id", pa.string()),
        ("bytes", pa.binary()),  # JPEG; null unless status is ok and same_as is null
        ("width", pa.int32()),  # px
        ("height", pa.int32()),  # px
        ("status", pa.string()),  # ok, expired, corrupt, too_large, blocked, failed
        ("error", pa.string()),  # why it is not ok
        ("content_hash", pa.string()),  # SHA-256 of the bytes as they came, in hex; null unless ok
        ("same_as", pa.string()),  # photo_id of the exact duplicate that holds the bytes; null where this row does
    ]
)
ANNOTATIONS = pa.schema(
    [
        ("sentence_id", pa.string()),
        ("photo_id", pa.string()),
        ("review_id", pa.string()),
        ("votes", pa.list_(pa.int8())),  # one per annotator who answered, 1 = the photo shows what is said
        ("label", pa.int8()),  # majority
        ("source", pa.string()),  # people, or weak (CLIP similarity; no labels were given)
        ("split", pa.string()),  # 8:1:1 by review
    ]
)
ALIGNMENTS = pa.schema(
    [
        ("review_id", pa.string()),
        ("sentence_id", pa.string()),
        ("photo_id", pa.string()),
        ("score", pa.float32()),  # probability by the classifier, 0 to 1
    ]
)
GEST_S1 = pa.schema(
    [
        ("review_id", pa.string()),
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("photo_ids", pa.list_(pa.string())),  # Y: what the user posted; candidates are the business' photos
        ("history_review_ids", pa.list_(pa.string())),  # the user's other reviews
        ("split", pa.string()),
    ]
)
GEST_S2 = pa.schema(
    [
        ("review_id", pa.string()),
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("explanation", pa.string()),  # the sentences that some photo of the review matches
        ("photo_ids", pa.list_(pa.string())),
        ("history_review_ids", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
GEST_FT = pa.schema([("review_id", pa.string()), ("text", pa.string())])


def embeddings_schema(dim: int, model_id: str = "") -> pa.Schema:
    """Schema of an embeddings table: id, unit vector of `dim` float16; the model's id in the metadata."""
    vector = pa.list_(pa.float16(), dim)
    return pa.schema([("id", pa.string()), ("vector", vector)], metadata={"model_id": model_id})


@dataclass(frozen=True)
class Artifact:
    """One artifact of the flow: its folder's name, the step that writes it, its form."""

    name: str
    step: str
    form: str
    schema: pa.Schema | None = None


FLOW: tuple[Artifact, ...] = (
    Artifact("reviews", "ingest", "Parquet, one row a review", REVIEWS),
    Artifact("photos", "ingest", "Parquet, one row a photo", PHOTOS),
    Artifact("images", "fetch_images", "Parquet shards with the JPEG bytes and a status a photo", IMAGES),
    Artifact("clip", "train_clip", "open_clip config + safetensors"),
    Artifact("image_embeddings", "embed", "Parquet: id, unit float16 vector"),
    Artifact("sentence_embeddings", "embed", "Parquet: id, unit float16 vector"),
    Artifact("annotations", "annotate", "Parquet: (sentence, photo), votes, label", ANNOTATIONS),
    Artifact("classifier", "distill", "safetensors + config + metrics"),
    Artifact("alignments", "distill", "Parquet: (sentence, photo), score", ALIGNMENTS),
    Artifact("gest_s1", "build_gest", "Parquet, one row a review, split by user", GEST_S1),
    Artifact("gest_s2", "build_gest", "Parquet, one row a review, split by user", GEST_S2),
    Artifact("gest_ft", "build_gest", "Parquet: texts of users with one review", GEST_FT),
    Artifact("selector", "train_selector", "a folder a variant: safetensors + config + metrics"),
    Artifact("generator", "train_generator", "a folder a variant: safetensors + config + tokenizer + metrics"),
    Artifact("report", "evaluate", "Markdown, CSV, one HTML page with the gallery"),
    Artifact("catalog", "publish", "LanceDB tables photos and reviews, indexed"),
)
ARTIFACTS: dict[str, Artifact] = {artifact.name: artifact for artifact in FLOW}


@dataclass(frozen=True)
class Manifest:
    """What made an artifact, from what, and what came of it. Without one a folder is unfinished work.

    `inputs` maps each artifact read to the digest of its manifest; `rows` and `failures` count by kind.
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

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: changes whenever the artifact was made anew."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def made_from(self, config: dict[str, Any], inputs: dict[str, str]) -> bool:
        """Whether the same config and inputs made this artifact."""
        plain = json.loads(json.dumps(config))
        return self.config == plain and self.inputs == inputs


@dataclass(frozen=True)
class Workspace:
    """All artifacts under one root: a folder, or `s3://bucket/prefix`.

    An S3 root may carry pyarrow's options, e.g.
    `s3://bucket/prefix?endpoint_override=http://127.0.0.1:9000&region=us-east-1`.
    Credentials come from the usual AWS chain. Instances are small and may be pickled to workers.
    """

    root: str

    def __post_init__(self) -> None:
        if "://" not in self.root:  # workers have working folders of their own
            object.__setattr__(self, "root", str(Path(self.root).expanduser().resolve()))

    @cached_property
    def _located(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.root:
            filesystem, path = fs.FileSystem.from_uri(self.root)
            return filesystem, path.rstrip("/")
        return fs.LocalFileSystem(), self.root

    def __getstate__(self) -> dict[str, str]:
        return {"root": self.root}  # filesystems are rebuilt where they are used

    @property
    def filesystem(self) -> fs.FileSystem:
        return self._located[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, artifact: str, *parts: str) -> str:
        """Path of an artifact (or of something in it) on `filesystem`.

        Raises:
            ArtifactError: a part would leave the artifact's folder.
        """
        if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in (artifact, *parts)):
            raise ArtifactError(f"{artifact}/{'/'.join(parts)}: not a path inside the workspace")
        return "/".join((self._located[1], artifact, *parts))

    def manifest(self, artifact: str) -> Manifest | None:
        """The artifact's manifest, or None where it is not finished."""
        try:
            with self.filesystem.open_input_stream(self.path(artifact, MANIFEST)) as stream:
                return Manifest(**json.loads(stream.read()))
        except FileNotFoundError:
            return None

    def require(self, artifact: str) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            ArtifactError: it is not finished; the message names the step to run.
        """
        manifest = self.manifest(artifact)
        if manifest is None:
            step = ARTIFACTS[artifact].step
            raise ArtifactError(
                f"{self.path(artifact)}: no finished artifact there; it is written by jobs.{step}, run that first"
            )
        return manifest

    def finish(self, manifest: Manifest) -> None:
        """Declare an artifact finished; the manifest is written last."""
        self.write_bytes(manifest.to_json().encode(), manifest.artifact, MANIFEST)

    def clear(self, artifact: str) -> None:
        """Remove an artifact, its manifest first, so that a broken removal leaves unfinished work."""
        for path in (self.path(artifact, MANIFEST), self.path(artifact)):
            info = self.filesystem.get_file_info(path)
            if info.type == fs.FileType.File:
                self.filesystem.delete_file(path)
            elif info.type == fs.FileType.Directory:
                self.filesystem.delete_dir(path)

    def reopen(self, artifact: str) -> None:
        """Remove the manifest alone: what lies there is unfinished work from now on."""
        self.filesystem.delete_file(self.path(artifact, MANIFEST))

    def keep_only(self, artifact: str, folders: Iterable[str]) -> None:
        """Remove all folders of an artifact but these."""
        kept = {self.path(artifact, name) for name in folders}
        found = self.filesystem.get_file_info(fs.FileSelector(self.path(artifact), allow_not_found=True))
        for info in found:
            if info.type == fs.FileType.Directory and info.path not in kept:
                self.filesystem.delete_dir(info.path)

    def write_bytes(self, data: bytes | pa.Buffer, artifact: str, *parts: str) -> None:
        """Write a file whole or not at all: whoever reads it sees the old one, none, or the new one."""
        path = self.path(artifact, *parts)
        if self.is_local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            temporary = f"{path}.{uuid.uuid4().hex}.tmp"
            Path(temporary).write_bytes(data)
            os.replace(temporary, path)
            return
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(data)

    def read_bytes(self, artifact: str, *parts: str) -> bytes:
        with self.filesystem.open_input_stream(self.path(artifact, *parts)) as stream:
            return stream.read()

    def write_table(self, table: pa.Table, artifact: str, name: str = "part-00000.parquet") -> None:
        """Write one shard, cast to the artifact's schema, whole or not at all.

        Raises:
            ArtifactError: the table lacks a column of the schema or holds another type.
        """
        schema = ARTIFACTS[artifact].schema
        if schema is not None:
            try:
                table = table.select(schema.names).cast(schema)
            except (KeyError, ValueError, pa.ArrowException) as error:
                raise ArtifactError(f"{artifact}: {error}; its columns are {schema.names}") from error
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        self.write_bytes(buffer.getvalue(), artifact, name)

    def read_table(self, artifact: str, columns: Iterable[str] | None = None) -> pa.Table:
        """All shards of a finished Parquet artifact.

        Raises:
            ArtifactError: it is not finished, or has no such column.
        """
        self.require(artifact)
        names = None if columns is None else list(columns)
        dataset = pq.ParquetDataset(self.shards(artifact), filesystem=self.filesystem)
        missing = [name for name in names or () if name not in dataset.schema.names]
        if missing:
            step = ARTIFACTS[artifact].step
            raise ArtifactError(f"{self.path(artifact)}: no column {missing}; written by jobs.{step}, rerun it")
        return dataset.read(columns=names)

    def shards(self, artifact: str) -> list[str]:
        """Paths of the artifact's Parquet files, sorted."""
        selector = fs.FileSelector(self.path(artifact), recursive=True, allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return sorted(info.path for info in found if info.path.endswith(".parquet"))

    def download(self, artifact: str, folder: Path, *parts: str) -> Path:
        """Copy an artifact (or a folder in it) to a local folder and return that folder."""
        folder.mkdir(parents=True, exist_ok=True)
        fs.copy_files(self.path(artifact, *parts), str(folder), source_filesystem=self.filesystem)
        return folder

    def upload(self, folder: Path, artifact: str, *parts: str) -> None:
        """Copy a local folder into an artifact."""
        destination = self.path(artifact, *parts)
        self.filesystem.create_dir(destination, recursive=True)
        fs.copy_files(str(folder), destination, destination_filesystem=self.filesystem)


def variant_folder(variant: str, seed: int) -> str:
    """Folder of a trained variant in the `selector` and `generator` artifacts, e.g. img_text-seed0."""
    return f"{variant.replace('+', '_')}-seed{seed}"
