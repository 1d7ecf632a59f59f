"""S3 filesystem of a workspace, configured by the root's options, with retries for transient failures.

Permanent failures are explained by `showcases.storage.s3_errors`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from showcases.errors import ConfigError, ObjectStoreError

MAX_ATTEMPTS = 11  # per request, with waits of 0.05, 0.1, ... 12.8 s, 26 s in total
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 10.0  # request timeout before a retry: a dead store costs at most 136 s
READS = 6  # tries of reading a file whose content is invalid
UNREAD = "Failed to flush response stream"  # the SDK gives up on an error response longer than the requested range

_NUMBERS = {"max_attempts": int, "connect_timeout": float, "request_timeout": float}
_SWITCHES = ("allow_bucket_creation", "allow_bucket_deletion")
_WORDS = ("region", "scheme", "endpoint_override", "tls_ca_file_path")
_T = TypeVar("_T")


@dataclass(frozen=True)
class S3Root:
    """A parsed root `s3://[key:secret@]bucket/prefix?options`.

    Attributes:
        endpoint: URL of a store other than Amazon's, with path-style addressing (http://HOST/bucket/key).
        region: None uses the bucket's region (Amazon) or the AWS chain (other endpoints).
        options: further options of SteadyS3.
    """

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{self.bucket}/{self.prefix}".rstrip("/")


def parse_root(root: str) -> S3Root:
    """Parse an S3 root; the endpoint may also come from AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.

    Raises:
        ConfigError: no bucket, an unknown option, a key without its secret, or a prefix with `#` or percent escapes.
    """
    parts = urlsplit(root, allow_fragments=False)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(given) - {*_NUMBERS, *_SWITCHES, *_WORDS})
    bucket = parts.netloc.rpartition("@")[2]
    if unknown or not bucket:
        known = ", ".join([*_WORDS, *_NUMBERS, *_SWITCHES])
        found = f"unknown option {unknown[0]}; the options are {known}" if unknown else "no bucket"
        raise ConfigError(f"s3://{bucket}{parts.path}: {found}; a root is s3://bucket/prefix?option=value&...")
    if "#" in parts.path or unquote(parts.path) != parts.path:  # the catalog's S3 client would read another prefix
        raise ConfigError(f"s3://{bucket}{parts.path}: a prefix with `#` or a percent escape; take another prefix")
    if bool(parts.username) != bool(parts.password):
        raise ConfigError(f"s3://...@{bucket}: a key needs its secret, s3://KEY:SECRET@bucket, both percent-encoded")
    options: dict[str, Any] = {name: _number(name, given[name]) for name in _NUMBERS if name in given}
    options |= {name: given[name].lower() in ("1", "true") for name in _SWITCHES if name in given}
    options |= {name: given[name] for name in ("tls_ca_file_path",) if name in given}
    endpoint = given.get("endpoint_override") or endpoint_in_environment()
    if endpoint and "://" not in endpoint:
        endpoint = f"{given.get('scheme', 'https')}://{endpoint}"
    key, secret = (unquote(part) if part else None for part in (parts.username, parts.password))
    prefix = parts.path.strip("/")
    return S3Root(bucket, prefix, endpoint and endpoint.rstrip("/"), given.get("region"), key, secret, options)


def endpoint_in_environment() -> str | None:
    """The S3 endpoint in the environment, as for the AWS tools."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def with_endpoint(root: str) -> str:
    """Add the environment's endpoint to the root, so that workers on other machines use it too."""
    endpoint = endpoint_in_environment()
    if endpoint is None or "endpoint_override" in dict(parse_qsl(urlsplit(root).query)):
        return root
    return f"{root}{'&' if '?' in root else '?'}endpoint_override={quote(endpoint, safe=':/')}"


def open_root(root: str) -> tuple[fs.FileSystem, str]:
    """Filesystem and path of a URI.

    Raises:
        ConfigError: see parse_root; or an unsupported URI scheme.
        ObjectStoreError: the bucket's region is unknown.
    """
    if not root.startswith("s3://"):
        try:
            filesystem, path = fs.FileSystem.from_uri(root)
        except (pa.ArrowException, ValueError) as error:
            raise ConfigError(f"{root}: {error}; a workspace is a folder or s3://bucket/prefix") from error
        return filesystem, path.rstrip("/")
    place = parse_root(root)
    options = dict(place.options)
    if place.endpoint:
        scheme, _, host = place.endpoint.partition("://")
        options |= {"scheme": scheme, "endpoint_override": host}
    region = place.region or (None if place.endpoint else _region_of(place.bucket))
    if place.access_key:
        options |= {"access_key": place.access_key, "secret_key": place.secret_key}
    return SteadyS3(region=region, **options), place.path


def _region_of(bucket: str) -> str:
    try:
        return fs.resolve_s3_region(bucket)
    except OSError as error:
        if "not found" in str(error):
            raise ObjectStoreError(f"s3://{bucket}: no such bucket; create it, or fix the root") from error
        raise ObjectStoreError(
            f"s3://{bucket}: can't look up its region; check the network, or put the region into the "
            f"root, s3://{bucket}/...?region=REGION [{error}]"
        ) from error


class SteadyS3(fs.S3FileSystem):
    """pyarrow's S3 filesystem with more retries, which survive pickling (pyarrow's don't).

    Small files are written by one request, large ones as atomic multipart uploads: an object is never incomplete. The
    AWS SDK retries truncated bodies. Uses the SDK's retry strategy `default`: `standard`, pyarrow's choice, gives up
    after a hundred retries per filesystem.
    """

    def __init__(self, *, max_attempts: int = MAX_ATTEMPTS, **options: Any) -> None:
        defaults = {
            "connect_timeout": CONNECT_SECONDS,
            "request_timeout": SILENCE_SECONDS,
            "allow_delayed_open": True,  # one PUT for a small file
        }
        retries = fs.AwsDefaultS3RetryStrategy(max_attempts=max_attempts - 1)  # counts retries
        super().__init__(retry_strategy=retries, **defaults | options)
        self.max_attempts, self.options = max_attempts, options

    def __reduce__(self) -> tuple[Any, ...]:
        return _steady, ({"max_attempts": self.max_attempts, **self.options},)

    @property
    def endpoint(self) -> str:
        """The endpoint, for messages."""
        host = self.options.get("endpoint_override")
        return f"{self.options.get('scheme', 'https')}://{host}" if host else f"Amazon S3 in {self.region}"


def _steady(options: dict[str, Any]) -> SteadyS3:
    return SteadyS3(**options)


def retry_read(read: Callable[[], _T]) -> _T:
    """Return `read()`, retried a few times if the content is invalid.

    Small range reads need this too: if the store's 500 or 503 response is longer than the range, the SDK does not
    retry.

    Raises:
        ValueError, OSError: of the last try; a missing file and errors of the store are not retried.
    """
    for number in range(READS - 1):
        try:
            return read()
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            if UNREAD in str(error):
                time.sleep(0.1 * 2**number)
            elif "AWS Error" in str(error):  # the SDK has retried already
                raise
    return read()


def read_whole(filesystem: fs.FileSystem, path: str) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: a short read in every try.
    """

    def read() -> bytes:
        with filesystem.open_input_file(path) as file:
            data, size = file.read(), file.size()
        if len(data) != size:
            raise OSError(f"{path}: read {len(data)} of {size} bytes")
        return data

    return retry_read(read)


def write_whole(filesystem: fs.FileSystem, path: str, data: bytes | pa.Buffer) -> None:
    """Write an object atomically."""

    def write() -> None:
        with filesystem.open_output_stream(path) as stream:
            stream.write(data)

    try:
        write()
    except OSError as error:  # the response to completing the upload was lost: the object may exist or not
        if "NO_SUCH_UPLOAD" not in str(error) and "NoSuchUpload" not in str(error):
            raise
        write()


def _number(name: str, value: str) -> float:
    try:
        number = _NUMBERS[name](value)
    except ValueError:
        number = 0
    if number <= 0:
        raise ConfigError(f"option {name}={value} of the root: must be a number above 0")
    return number
