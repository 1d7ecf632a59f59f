"""A workspace: locates the artifacts of the flow, and reads and writes their files."""

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from showcases.errors import ArtifactError
from showcases.storage import s3
from showcases.storage.flow import ARTIFACTS as ARTIFACTS
from showcases.storage.flow import FLOW as FLOW
from showcases.storage.flow import Manifest as Manifest
from showcases.storage.s3_errors import list_files, read_retrying, store_errors_of

_T = TypeVar("_T")

MANIFEST = "manifest.json"
Place = tuple[str, ...]  # an artifact and its subfolders
_FOLDERS: dict[tuple[str, str], str] = {}  # by root and artifact, from the manifest that this process read last


@dataclass(frozen=True)
class Workspace:
    """All artifacts under one root: a folder, or `s3://bucket/prefix`.

    An S3 root may carry options, e.g. `s3://bucket/prefix?endpoint_override=http://127.0.0.1:9000&region=us-east-1`;
    without it, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL apply. Credentials come from the usual AWS chain.
    Instances are small and picklable. A request that S3 rejects, or that fails in all retries, raises an
    ObjectStoreError that names the object and a fix.
    """

    root: str
    folders: tuple[
        tuple[str, str], ...
    ] = ()  # (artifact, folder under the root) of artifacts under construction or pinned

    def __post_init__(self) -> None:
        if "://" not in self.root:  # workers have other working directories
            object.__setattr__(self, "root", str(Path(self.root).expanduser().resolve()))
        elif self.root.startswith("s3://"):
            object.__setattr__(self, "root", s3.with_endpoint(self.root))

    @cached_property
    def _located(self) -> tuple[fs.FileSystem, str]:
        if "://" in self.root:
            return s3.open_root(self.root)
        return fs.LocalFileSystem(), self.root

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "folders": self.folders}  # filesystems are recreated after unpickling

    def placed(self, folders: dict[str, str]) -> "Workspace":
        """The same workspace, with these artifacts in these folders under the root."""
        return Workspace(self.root, tuple((dict(self.folders) | folders).items()))

    def folder(self, artifact: str) -> str:
        """Folder of an artifact's files under the root: its build folder, else the one in its manifest."""
        for name, folder in self.folders:
            if name == artifact:
                return folder
        if artifact not in ARTIFACTS or ARTIFACTS[artifact].is_in_use:
            return artifact
        if (self.root, artifact) not in _FOLDERS or self.is_local:
            self.manifest(artifact)
        return _FOLDERS.get((self.root, artifact), artifact)

    @property
    def filesystem(self) -> fs.FileSystem:
        return self._located[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, artifact: str, *parts: str) -> str:
        """Path of an artifact, or of a file in it, on `filesystem`.

        Raises:
            ArtifactError: the path is outside the artifact's folder.
        """
        if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in (artifact, *parts)):
            raise ArtifactError(f"{artifact}/{'/'.join(parts)}: not a path inside the workspace")
        folder = artifact if parts == (MANIFEST,) else self.folder(artifact)
        return "/".join((self._located[1], folder, *parts))

    def path_under_root(self, *parts: str) -> str:
        """Path under the root, on `filesystem`."""
        return "/".join((self._located[1], *parts))

    def _store_errors_of(self, artifact: str, *parts: str) -> AbstractContextManager[None]:
        """Convert the block's S3 failures to ObjectStoreErrors about this path."""
        return store_errors_of(self.filesystem, self.path(artifact, *parts))

    def manifest(self, artifact: str) -> Manifest | None:
        """The artifact's manifest, or None if it is not finished.

        Raises:
            ArtifactError: the manifest is invalid.
        """
        try:
            found = s3.retry_read(lambda: Manifest(**json.loads(self.read_bytes(artifact, MANIFEST))))
        except FileNotFoundError:
            _FOLDERS.pop((self.root, artifact), None)
            return None
        except (ValueError, TypeError) as error:
            path, step = self.path(artifact, MANIFEST), ARTIFACTS[artifact].step
            raise ArtifactError(f"{path}: invalid manifest ({error}); remove it and run jobs.{step} again") from error
        _FOLDERS[self.root, artifact] = found.folder or artifact
        return found

    def require(self, artifact: str) -> Manifest:
        """The manifest of a finished artifact.

        Raises:
            ArtifactError: it is not finished; the message names the step that writes it.
        """
        manifest = self.manifest(artifact)
        if manifest is None:
            step = ARTIFACTS[artifact].step
            raise ArtifactError(f"{self.path(artifact)}: no finished artifact; run jobs.{step} first")
        return manifest

    def finish(self, manifest: Manifest) -> None:
        """Mark an artifact as finished by writing its manifest, which must be written last."""
        self.write_bytes(manifest.to_json().encode(), manifest.artifact, MANIFEST)

    def keep_only(self, artifact: str, folders: Iterable[str]) -> None:
        """Remove all folders of an artifact except these."""
        for name in set(self.folders_in(artifact)) - set(folders):
            self.remove(artifact, name)

    def folders_in(self, artifact: str, *parts: str) -> list[str]:
        """Sorted names of the folders in a folder; empty if it does not exist."""
        path = self.path(artifact, *parts)
        with store_errors_of(self.filesystem, path):
            found = self.filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def remove(self, artifact: str, *parts: str) -> None:
        """Remove a folder, if it exists."""
        path = self.path(artifact, *parts)
        with store_errors_of(self.filesystem, path):
            if self.filesystem.get_file_info(path).type == fs.FileType.Directory:
                self.filesystem.delete_dir(path)

    def write_json(self, value: Any, artifact: str, *parts: str) -> None:
        """Write a value as a JSON file, atomically."""
        self.write_bytes(json.dumps(value, indent=2).encode(), artifact, *parts)

    def find_json(self, artifact: str, *parts: str) -> Any:
        """Content of a JSON file; None if it does not exist."""
        try:
            return json.loads(self.read_bytes(artifact, *parts))
        except FileNotFoundError:
            return None

    def write_bytes(self, data: bytes | pa.Buffer, artifact: str, *parts: str) -> None:
        """Write a file atomically: readers see the old version, if any, or the new one."""
        path = self.path(artifact, *parts)
        if self.is_local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            temporary = f"{path}.{uuid.uuid4().hex}.tmp"
            Path(temporary).write_bytes(data)
            os.replace(temporary, path)
            return
        with store_errors_of(self.filesystem, path):
            s3.write_whole(self.filesystem, path, data)

    def read_bytes(self, artifact: str, *parts: str) -> bytes:
        """The whole file.

        Raises:
            FileNotFoundError: it does not exist.
        """
        path = self.path(artifact, *parts)
        with store_errors_of(self.filesystem, path):
            return s3.read_whole(self.filesystem, path)

    def write_table(self, table: pa.Table, artifact: str, *parts: str) -> None:
        """Write one shard atomically, cast to the artifact's schema.

        Args:
            table: the rows.
            artifact: an artifact of the flow, or another folder beside them.
            parts: subfolders and the shard's name; by default the name of a single shard.

        Raises:
            ArtifactError: a column is missing or has another type.
        """
        known = ARTIFACTS.get(artifact)
        if known is not None and known.schema is not None:
            try:
                table = table.select(known.schema.names).cast(known.schema)
            except (KeyError, ValueError, pa.ArrowException) as error:
                raise ArtifactError(f"{artifact}: {error}; its columns are {known.schema.names}") from error
        buffer = pa.BufferOutputStream()
        # JPEG bytes don't compress, and dictionary encoding doesn't help: both would double the time to write and read.
        packed = [field.name for field in table.schema if not pa.types.is_binary(field.type)]
        compression = {field.name: "snappy" if field.name in packed else "none" for field in table.schema}
        pq.write_table(
            table,
            buffer,
            row_group_size=known.row_group if known is not None else None,
            use_dictionary=packed,
            compression=compression if len(packed) < len(compression) else "snappy",
        )
        self.write_bytes(buffer.getvalue(), artifact, *(parts or ("part-00000.parquet",)))

    def read_table(self, artifact: str, columns: Iterable[str] | None = None) -> pa.Table:
        """All shards of a finished Parquet artifact.

        Raises:
            ArtifactError: it is not finished, or a column is missing.
        """
        stored = self.require(artifact).stored
        names = None if columns is None else list(columns)
        shards = self.shards(artifact)
        if not shards:
            raise ArtifactError(
                f"{self.path(artifact)}: no shards; written by jobs.{ARTIFACTS[artifact].step}, rerun it"
            )
        with ThreadPoolExecutor(8) as pool:
            tables = list(pool.map(lambda path: self._read_shard(artifact, path, names), shards))
        rows = sum(table.num_rows for table in tables)
        if rows != stored.get("rows", rows):
            step = ARTIFACTS[artifact].step
            raise ArtifactError(
                f"{self.path(artifact)}: {rows:,} rows in {len(tables)} files, but {stored['rows']:,} in its manifest; "
                f"files were added or removed by hand: run jobs.{step} with --force true"
            )
        return pa.concat_tables(tables, promote_options="default")

    def _read_shard(self, artifact: str, path: str, names: list[str] | None) -> pa.Table:
        def read() -> pa.Table:
            with self.filesystem.open_input_file(path) as stream:
                file = pq.ParquetFile(stream, pre_buffer=True)
                missing = [name for name in names or () if name not in file.schema_arrow.names]
                if missing:
                    step = ARTIFACTS[artifact].step
                    raise ArtifactError(f"{path}: no column {missing}; written by jobs.{step}, rerun it")
                table = file.read(columns=names)
            return table if names is None else table.select(names)

        return read_retrying(self.filesystem, path, read)

    def shards(self, artifact: str) -> list[str]:
        """Paths of the artifact's Parquet files, sorted."""
        found = list_files(self.filesystem, self.path(artifact), recursive=True)
        return sorted(info.path for info in found if info.path.endswith(".parquet"))

    def download(self, artifact: str, folder: Path, *parts: str) -> Path:
        """Copy an artifact (or a folder in it) to a local folder and return that folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with self._store_errors_of(artifact, *parts):
            fs.copy_files(self.path(artifact, *parts), str(folder), source_filesystem=self.filesystem)
        return folder

    def load(self, load: Callable[[Path], _T], artifact: str, *parts: str) -> _T:
        """Call `load` on a temporary local copy of an artifact (or of a folder in it); returns its result."""
        with tempfile.TemporaryDirectory() as folder:
            return load(self.download(artifact, Path(folder), *parts))

    def upload(self, folder: Path, artifact: str, *parts: str) -> None:
        """Copy the files of a local folder into an artifact, each atomically."""

        def one(file: Path) -> None:
            data = pa.memory_map(str(file)).read_buffer() if file.stat().st_size else b""
            self.write_bytes(data, artifact, *parts, *file.relative_to(folder).parts)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, [file for file in folder.rglob("*") if file.is_file()]))


def variant_folder(variant: str, seed: int) -> str:
    """Folder of a trained variant in the `selector` and `generator` artifacts, e.g. img_text-seed0."""
    return f"{variant.replace('+', '_')}-seed{seed}"
