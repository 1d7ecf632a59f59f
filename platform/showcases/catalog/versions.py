"""Versions of a catalog: each publish writes a folder of its own, then one small file says which of them is served.

current.json      the served version and those before it, newest first; written whole by one rename or one PUT
publishing.json   the version that is being written; a second publish takes it over, and the first one gives up
v-TIME-RANDOM/    the tables of one version
live-SPACE/       what users sent to the service; no version, so a publish leaves it as it is
"""

import datetime
import json
import os
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from pyarrow import fs

from showcases.catalog.filters import CatalogError
from showcases.catalog.location import files_at
from showcases.errors import ShowcasesError
from showcases.storage import s3
from showcases.storage.s3_errors import store_errors_of

CURRENT, CLAIM = "current.json", "publishing.json"
KEEP_SECONDS = 3600  # that a version is kept after another has replaced it; the last one before is kept for good
_VERSION = re.compile(r"v-\d{8}T\d{12}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Version:
    """A published version: its folder's name, and when it began to be served (UTC, ISO 8601)."""

    name: str
    published: str

    @property
    def began(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.published)


@dataclass(frozen=True)
class Versions:
    """The versions under one place.

    Args:
        uri: folder, or s3://bucket/prefix.
        storage_options: LanceDB's, for object stores.
    """

    uri: str
    storage_options: Mapping[str, str]

    @cached_property
    def _place(self) -> tuple[fs.FileSystem, str]:
        return files_at(self.uri, self.storage_options)

    def at(self, folder: str) -> str:
        """URI of a folder of the catalog."""
        return f"{self.uri.rstrip('/')}/{folder}"

    def history(self) -> list[Version]:
        """The served version first, then those it replaced that are kept; empty where nothing was published.

        Raises:
            CatalogError: what lies there is no pointer.
        """
        try:
            found = json.loads(s3.retry_read(lambda: self._read(CURRENT)))
            versions = [Version(**entry) for entry in found["versions"]]
            if not all(_VERSION.fullmatch(version.name) for version in versions):
                raise ValueError("a name in it is no version")
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            raise CatalogError(f"{self.at(CURRENT)}: {error}; remove it and run jobs.publish") from error
        return versions

    def current(self) -> str:
        """Name of the served version.

        Raises:
            CatalogError: nothing was published.
        """
        history = self.history()
        if not history:
            raise CatalogError(f"{self.uri}: no catalog there (no {CURRENT}); it is written by jobs.publish, run that")
        return history[0].name

    @contextmanager
    def publishing(self) -> Iterator[str]:
        """A new version's name; it is served when the block ends well, and removed when it fails.

        After the switch the leftovers of a publish that was cut off are removed, and versions past their time.

        Raises:
            CatalogError: another publish has begun in the meantime.
        """
        now = datetime.datetime.now(datetime.UTC)
        name = f"v-{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        self._write(CLAIM, {"version": name})
        try:
            yield name
        except BaseException:
            with suppress(OSError, ShowcasesError):  # what can't be removed now the next publish removes
                self._remove(name)
            raise
        self._switch(name)  # if this fails, the store may have switched all the same: nothing is removed
        self._sweep()

    def _switch(self, name: str) -> None:
        if (claim := self._claim()) != name:
            raise CatalogError(f"{self.uri}: another publish ({claim}) has begun since; this one is given up")
        now = datetime.datetime.now(datetime.UTC)
        history = [Version(name, now.isoformat()), *self.history()]
        kept = [
            version
            for number, version in enumerate(history)
            if number < 2 or (now - history[number - 1].began).total_seconds() < KEEP_SECONDS  # since it was replaced
        ]
        self._write(CURRENT, {"versions": [asdict(version) for version in kept]})

    def _sweep(self) -> None:
        """Remove every version that nobody is to read or writes, and what catalogs before there were versions left."""
        files, root = self._place
        with store_errors_of(files, root):
            found = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
        history = self.history()
        kept = {self._claim(), *(version.name for version in history)}  # read after the list, so that they cover it
        for info in found:
            version = _VERSION.fullmatch(info.base_name) and info.base_name not in kept
            unversioned = info.base_name.endswith(".lance") and len(history) > 1  # until then a service may read those
            if version or unversioned:
                self._remove(info.base_name)

    def _claim(self) -> str:
        return json.loads(s3.retry_read(lambda: self._read(CLAIM)))["version"]

    def _remove(self, folder: str) -> None:
        files, root = self._place
        path = f"{root}/{folder}"
        with store_errors_of(files, path):
            kind = files.get_file_info(path).type
            if kind == fs.FileType.Directory:
                files.delete_dir(path)
            elif kind == fs.FileType.File:
                files.delete_file(path)

    def _read(self, name: str) -> bytes:
        files, root = self._place
        with store_errors_of(files, f"{root}/{name}"):
            return s3.read_whole(files, f"{root}/{name}")

    def _write(self, name: str, content: dict) -> None:
        """Whole or not at all: who reads sees the old file or the new one."""
        files, root = self._place
        data, path = json.dumps(content, indent=2).encode(), f"{root}/{name}"
        if isinstance(files, fs.LocalFileSystem):
            Path(root).mkdir(parents=True, exist_ok=True)
            temporary = f"{path}.{uuid.uuid4().hex}.tmp"
            Path(temporary).write_bytes(data)
            os.replace(temporary, path)
            return
        with store_errors_of(files, path):
            s3.write_whole(files, path, data)
