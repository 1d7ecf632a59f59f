"""Compare-and-swap on small files of a workspace: under a lock on a file system, by conditional PUTs on S3."""

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from showcases.errors import ObjectStoreError
from showcases.storage.s3 import S3Root, parse_root
from showcases.storage.s3_errors import Refusal

S3_ATTEMPTS = 8  # per request, with backoff: survives an outage of half a minute
SWAPS = 20  # retries of a swap after conflicts


class Cell(Protocol):
    """One small file that several processes update."""

    def read(self) -> bytes | None:
        """The content, or None if the file doesn't exist."""

    def update(self, change: Callable[[bytes | None], bytes]) -> bytes:
        """Replace the content by `change(content)`, atomically; an exception in `change` leaves it unchanged."""

    def guarded(self) -> contextlib.AbstractContextManager[None]:
        """A block with exclusive access to the file; a no-op on S3, where writes are conditional instead."""


class LocalCell:
    """A file with a lock file (flock); for file systems, including shared ones (NFS, EFS)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_held = False

    def read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def update(self, change: Callable[[bytes | None], bytes]) -> bytes:
        with self.guarded():
            content = change(self.read())
            temporary = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.tmp")
            temporary.write_bytes(content)
            os.replace(temporary, self.path)
            return content

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        if self._is_held:  # reentrant: already held by an outer block
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False


class S3Cell:
    """An object updated by PUTs with If-Match and If-None-Match, so that one of two concurrent writers fails.

    Args:
        root: of the workspace, `s3://bucket/prefix?options`.
        key: of the object below the prefix.
    """

    def __init__(self, root: str, key: str) -> None:
        self.place: S3Root = parse_root(root)
        self.key = "/".join(part for part in (self.place.prefix, key) if part)

    @cached_property
    def _client(self) -> Any:
        return s3_client(self.place)

    def read(self) -> bytes | None:
        return self.read_with_tag()[0]

    def read_with_tag(self) -> tuple[bytes | None, str | None]:
        """Content and ETag; (None, None) if there is no object."""
        with self._explained("NoSuchKey", "404"):
            return self._get()
        return None, None

    def _get(self) -> tuple[bytes, str]:
        """Content and ETag; retries truncated bodies, which boto3 does not."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        def get() -> tuple[bytes, str]:
            answer = self._client.get_object(Bucket=self.place.bucket, Key=self.key)
            return answer["Body"].read(), answer["ETag"]

        for number in range(S3_ATTEMPTS - 1):
            try:
                return get()
            except (HTTPClientError, IncompleteReadError):
                time.sleep(0.1 * 2**number)
        return get()

    def update(self, change: Callable[[bytes | None], bytes]) -> bytes:
        for _ in range(SWAPS):
            before, tag = self.read_with_tag()
            content = change(before)
            if self.put(content, tag):
                return content
        raise ObjectStoreError(f"s3://{self.place.bucket}/{self.key}: write conflicts in all {SWAPS} tries")

    def put(self, content: bytes, tag: str | None) -> bool:
        """Write if the object still has this ETag, or, with None, if there is no object.

        Returns:
            Whether it was written; `content` must be unique to this writer.
        """
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        with self._explained("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"):
            self._client.put_object(Bucket=self.place.bucket, Key=self.key, Body=content, **condition)
            return True
        return self.read() == content  # ours, if the response to an earlier try was lost

    def has_conditional_writes(self) -> bool:
        """Whether the store supports If-None-Match; the object must exist. Old stores ignore the header."""
        content = self.read()
        return content is None or not self._put_again(content)

    def _put_again(self, content: bytes) -> bool:
        with self._explained("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
            self._client.put_object(Bucket=self.place.bucket, Key=self.key, Body=content, IfNoneMatch="*")
            return True
        return False

    def guarded(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def _explained(self, *expected: str) -> Iterator[None]:
        """Suppress errors with one of these codes; convert others to ObjectStoreErrors."""
        from botocore.exceptions import BotoCoreError, ClientError

        path = f"{self.place.bucket}/{self.key}"
        endpoint = self.place.endpoint or "Amazon S3"
        try:
            yield
        except ClientError as error:
            code, detail = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
            if code not in expected:
                raise ObjectStoreError(Refusal(code, detail).message(path, endpoint)) from error
        except BotoCoreError as error:
            raise ObjectStoreError(Refusal("NETWORK_CONNECTION", str(error)).message(path, endpoint)) from error


def s3_client(place: S3Root) -> Any:
    """boto3's client for a root.

    Raises:
        ObjectStoreError: boto3 is not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ObjectStoreError(
            f"s3://{place.bucket}: writing a workspace on S3 needs boto3 for its conditional writes; "
            "pip install 'showcases[ray]'"
        ) from error
    config = Config(
        connect_timeout=5,
        read_timeout=10,
        retries={"total_max_attempts": S3_ATTEMPTS, "mode": "standard"},
        s3={"addressing_style": "path"} if place.endpoint else {},
    )
    keys = {"aws_access_key_id": place.access_key, "aws_secret_access_key": place.secret_key}
    return boto3.client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region or (None if not place.endpoint else os.environ.get("AWS_DEFAULT_REGION", "us-east-1")),
        config=config,
        **(keys if place.access_key else {}),
    )
