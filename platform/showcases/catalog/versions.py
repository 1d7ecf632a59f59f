"""Versions of a catalog: each publish writes a new folder, then switches a pointer file to it.

current.json      the served version and its predecessors, newest first; replaced atomically by one rename or one PUT
publishing.json   the version that is being written; a second publish overwrites it, and the first one then aborts
v-TIME-RANDOM/    the tables of one version
live-SPACE/       uploads to the service; not versioned, so a publish does not touch them
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
KEEP_SECONDS = 3600  # retention of a replaced version; the latest replaced one is always retained
_VERSION = re.compile(r"v-\d{8}T\d{12}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Version:
    """A published version: its folder's name and publication time (UTC, ISO 8601)."""

    name: str
    published: str

    @property
    def began(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.published)


@dataclass(frozen=True)
class Versions:
    """The versions under one location.

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
        """The served version, then the retained ones it replaced; empty if nothing was published.

        Raises:
            CatalogError: the pointer file is invalid.
        """
        try:
            found = json.loads(s3.retry_read(lambda: self._read(CURRENT)))
            versions = [Version(**entry) for entry in found["versions"]]
            if not all(_VERSION.fullmatch(version.name) for version in versions):
                raise ValueError("invalid version name")
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
            raise CatalogError(f"{self.uri}: no catalog found (no {CURRENT}); run jobs.publish to create it")
        return history[0].name

    @contextmanager
    def publishing(self) -> Iterator[str]:
        """Yield a new version's name; it is served if the block succeeds, and removed if it raises.

        After the switch, expired versions and the leftovers of interrupted publishes are removed.

        Raises:
            CatalogError: another publish has started in the meantime.
        """
        now = datetime.datetime.now(datetime.UTC)
        name = f"v-{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        self._write(CLAIM, {"version": name})
        try:
            yield name
        except BaseException:
            with suppress(OSError, ShowcasesError):  # the next publish removes what can't be removed now
                self._remove(name)
            raise
        self._switch(name)  # on failure the store may still have switched, so nothing is removed
        self._sweep()

    def _switch(self, name: str) -> None:
        if (claim := self._claim()) != name:
            raise CatalogError(f"{self.uri}: another publish ({claim}) has started; aborting this one")
        now = datetime.datetime.now(datetime.UTC)
        history = [Version(name, now.isoformat()), *self.history()]
        retained = [
            version
            for number, version in enumerate(history)
            if number < 2 or (now - history[number - 1].began).total_seconds() < KEEP_SECONDS  # since it was replaced
        ]
        self._write(CURRENT, {"versions": [asdict(version) for version in retained]})

    def _sweep(self) -> None:
        """Remove versions that are neither retained nor being written, and the tables of unversioned catalogs."""
        files, root = self._place
        with store_errors_of(files, root):
            found = files.get_file_info(fs.FileSelector(root, allow_not_found=True))
        history = self.history()
        in_use = {self._claim(), *(version.name for version in history)}  # read after the listing, to cover it
        for info in found:
            version = _VERSION.fullmatch(info.base_name) and info.base_name not in in_use
            unversioned = info.base_name.endswith(".lance") and len(history) > 1  # a service may still read them
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
        """Replace a file atomically: a reader sees the old one or the new one."""
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
