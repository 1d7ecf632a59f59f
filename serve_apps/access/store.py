"""Keys as files `<root>/access/keys/<id>.json`, local or on s3://; one file per key avoids write conflicts."""

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs
from pydantic import ValidationError

from serve_apps.access import tokens
from serve_apps.access.keys import Key
from showcases.errors import ConfigError
from showcases.storage.artifacts import Workspace

FOLDER = "access"
Fingerprint = tuple[int, int]  # mtime in ns and size in bytes


class KeyStoreError(ConfigError):
    """A key's file is missing or invalid."""


@dataclass(frozen=True)
class KeyStore:
    """Reads and writes key files. Errors name the file, never a hash."""

    workspace: Workspace

    def ids(self) -> dict[str, Fingerprint]:
        """Fingerprint of every key file, by id."""
        selector = fs.FileSelector(self.workspace.path(FOLDER, "keys"), allow_not_found=True)
        files = {info.base_name: info for info in self.workspace.filesystem.get_file_info(selector)}
        named = {name.removesuffix(".json"): info for name, info in files.items() if name.endswith(".json")}
        return {name: (info.mtime_ns or 0, info.size or 0) for name, info in named.items() if tokens.ID.fullmatch(name)}

    def read(self, key_id: str) -> Key:
        """One key.

        Raises:
            KeyStoreError: the file is missing or invalid.
            ObjectStoreError: S3 failed.
        """
        if not tokens.ID.fullmatch(key_id):
            raise KeyStoreError(f"{key_id!r}: not a key id; `list` shows them")
        try:
            data = self.workspace.read_bytes(FOLDER, "keys", f"{key_id}.json")
        except FileNotFoundError as error:
            raise KeyStoreError(f"{self.place(key_id)}: no such key; `list` shows all keys") from error
        try:
            key = Key.model_validate_json(data)
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in found["loc"])
            raise KeyStoreError(
                f"{self.place(key_id)}: not a key file ({where + ': ' if where else ''}{found['msg']}); this "
                "key is disabled until the file is restored, or removed and a new key created"
            ) from None  # the cause would leak the file's content
        if key.id != key_id:
            raise KeyStoreError(f"{self.place(key_id)}: contains the key {key.id}; the file name must be the key's id")
        return key

    def write(self, key: Key) -> None:
        """Write a key file atomically and verify it.

        Raises:
            KeyStoreError: another process wrote the same key concurrently (S3 has no lock).
        """
        if self.workspace.is_local:
            Path(self.workspace.path(FOLDER, "keys")).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.workspace.write_bytes(key.model_dump_json(indent=1).encode(), FOLDER, "keys", f"{key.id}.json")
        if self.read(key.id) != key:
            raise KeyStoreError(
                f"{self.place(key.id)}: changed concurrently by another process; check it and try again"
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """A lock for local folders; on S3, `write` detects conflicts."""
        if not self.workspace.is_local:
            yield
            return
        path = Path(self.workspace.path(FOLDER, "lock"))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released by the OS if the process dies
            yield

    def place(self, key_id: str) -> str:
        return self.workspace.path(FOLDER, "keys", f"{key_id}.json")
