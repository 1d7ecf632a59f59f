"""Keys and their use as files under `<root>/access/`, a folder or s3://: one file a key, so that writers seldom meet.

`keys/<id>.json` is written by `serve_apps.keys` alone; `usage/<day>/<process>.json` by one gateway process alone.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pyarrow import fs
from pydantic import ValidationError

from serve_apps.access import tokens
from serve_apps.access.keys import Key
from showcases.artifacts import Workspace
from showcases.errors import ConfigError

FOLDER = "access"
Fingerprint = tuple[int, int]  # a file's time of change in ns and its bytes


class KeyStoreError(ConfigError):
    """A key's file is missing or isn't one."""


@dataclass
class Usage:
    """What one day saw of one key: requests, and when the last one came, to the minute."""

    requests: int = 0
    last: str = ""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.requests + other.requests, max(self.last, other.last))


@dataclass(frozen=True)
class KeyStore:
    """Reads and writes the files. Errors name the file and what to do, never a hash."""

    workspace: Workspace

    def ids(self) -> dict[str, Fingerprint]:
        """Every key that has a file."""
        found = self._files("keys")
        return {name: mark for name, mark in found.items() if tokens.ID.fullmatch(name)}

    def read(self, key_id: str) -> Key:
        """One key.

        Raises:
            KeyStoreError: there is none, or its file was tampered with.
            ObjectStoreError: S3 refused.
        """
        if not tokens.ID.fullmatch(key_id):
            raise KeyStoreError(f"{key_id!r}: not a key's id; `list` shows them")
        try:
            data = self.workspace.read_bytes(FOLDER, "keys", f"{key_id}.json")
        except FileNotFoundError as error:
            raise KeyStoreError(f"{self.place(key_id)}: no such key; `list` shows those there are") from error
        try:
            key = Key.model_validate_json(data)
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in found["loc"])
            raise KeyStoreError(
                f"{self.place(key_id)}: not a key's file ({where + ': ' if where else ''}{found['msg']}); it refuses "
                "this key until it is restored, or removed and a new key created"
            ) from None  # the cause would show the file's content
        if key.id != key_id:
            raise KeyStoreError(f"{self.place(key_id)}: holds the key {key.id}; a key's file has its id as name")
        return key

    def write(self, key: Key) -> None:
        """Write a key's file whole or not at all, and see that it stays.

        Raises:
            KeyStoreError: somebody else wrote the same key at the same time (S3 has no lock).
        """
        if self.workspace.is_local:
            Path(self.workspace.path(FOLDER, "keys")).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.workspace.write_bytes(key.model_dump_json(indent=1).encode(), FOLDER, "keys", f"{key.id}.json")
        if self.read(key.id) != key:
            raise KeyStoreError(f"{self.place(key.id)}: somebody else changed it at the same time; look, and try again")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One writer at a time in a local folder; on S3 `write` notices the other."""
        if not self.workspace.is_local:
            yield
            return
        path = Path(self.workspace.path(FOLDER, "lock"))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system lets go of it if the process dies
            yield

    def place(self, key_id: str) -> str:
        return self.workspace.path(FOLDER, "keys", f"{key_id}.json")

    def usage(self, day: str, without: str = "") -> dict[str, Usage]:
        """By key: what the day's processes, but for `without`, have written down."""
        total: dict[str, Usage] = {}
        for name in self._files("usage", day):
            if name == without:
                continue
            for key_id, used in self._usage_of(day, name).items():
                total[key_id] = total.get(key_id, Usage()) + used
        return total

    def write_usage(self, day: str, process: str, used: dict[str, Usage]) -> None:
        data = json.dumps({key_id: vars(one) for key_id, one in used.items()}).encode()
        self.workspace.write_bytes(data, FOLDER, "usage", day, f"{process}.json")

    def days(self) -> list[str]:
        """Days that have a record, oldest first."""
        return sorted(info.base_name for info in self._infos("usage") if info.type == fs.FileType.Directory)

    def last_used(self) -> dict[str, str]:
        """By key, to the minute, as far as the kept days tell."""
        last: dict[str, str] = {}
        for day in self.days():
            last |= {key_id: one.last for key_id, one in self.usage(day).items()}
        return last

    def forget_usage(self, before: str) -> None:
        """Remove the record of days before one."""
        for day in self.days():
            if day < before:
                self.workspace.filesystem.delete_dir(self.workspace.path(FOLDER, "usage", day))

    def _usage_of(self, day: str, name: str) -> dict[str, Usage]:
        try:
            content: dict[str, Any] = json.loads(self.workspace.read_bytes(FOLDER, "usage", day, f"{name}.json"))
            return {key_id: Usage(int(one["requests"]), str(one["last"])) for key_id, one in content.items()}
        except FileNotFoundError:  # removed since it was listed
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            path = self.workspace.path(FOLDER, "usage", day, f"{name}.json")
            raise KeyStoreError(f"{path}: not a record of use ({error}); remove it, the quota forgets it") from error

    def _files(self, *parts: str) -> dict[str, Fingerprint]:
        infos = [info for info in self._infos(*parts) if info.base_name.endswith(".json")]
        return {info.base_name.removesuffix(".json"): (info.mtime_ns or 0, info.size or 0) for info in infos}

    def _infos(self, *parts: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self.workspace.path(FOLDER, *parts), allow_not_found=True)
        return self.workspace.filesystem.get_file_info(selector)


def day_of(moment: datetime) -> str:
    """The UTC day that a quota counts in, e.g. 2026-03-01."""
    return moment.strftime("%Y-%m-%d")
