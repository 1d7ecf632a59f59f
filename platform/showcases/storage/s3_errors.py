"""Explain object-store failures: which object, why, and what to do.

pyarrow raises an OSError with the AWS SDK's text. A HEAD response has no body, so its cause is requested again.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pyarrow import fs

from showcases.errors import ObjectStoreError
from showcases.storage.s3 import UNREAD, SteadyS3, retry_read

_T = TypeVar("_T")
_FAILURE = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))? during \w+ operation: (.*)")
_UNKNOWN_TO_SDK = re.compile(r"Unable to parse ExceptionName: (\w+) Message: (.*)")
_NO_BODY = "No response body"
_KEY = re.compile(r"(?:for|under|delete) key '([^']*)' in bucket '([^']*)'")
_MESSAGE = re.compile(r"ObjectStoreError: (s3://.*)")
_REGION = re.compile(r"expecting '([\w-]+)'|located in '([\w-]+)'")

_CAUSES: tuple[tuple[str, str], ...] = (  # S3's error codes, in lower case without underscores; cause and fix
    (
        "expiredtoken|expiredtokenexception|tokenrefreshrequired",
        "the credential has expired ({code}): get a new one (`aws sso login`, or a new AWS_SESSION_TOKEN) and rerun "
        "the command; it resumes",
    ),
    (
        "invalidaccesskeyid|signaturedoesnotmatch|invalidtoken|invalidsecurity|invalidclienttokenid|unrecognizedclient",
        "the credential is not valid there ({code}); check the key, secret and session token that the AWS chain finds "
        "first (AWS_ACCESS_KEY_ID, AWS_PROFILE, instance role) with `aws sts get-caller-identity`",
    ),
    ("requesttimetooskewed|requestexpired", "this machine's clock is wrong ({code}); set it, then rerun the command"),
    (
        "accessdenied|forbidden|allaccessdisabled|403",
        "access denied; the credential (`aws sts get-caller-identity` says whose it is) needs s3:GetObject, "
        "s3:PutObject, s3:DeleteObject and s3:ListBucket there",
    ),
    ("400", "rejected without a reason (400): usually an expired or mistyped credential"),
    ("nosuchbucket", "bucket {bucket} does not exist; create it, or fix the root"),
    (
        "permanentredirect|authorizationheadermalformed|illegallocationconstraint|301",
        "the bucket is in another region{region}; put the right one into the root, s3://{bucket}/...?region=REGION",
    ),
    (
        "slowdown|throttling|throttlingexception|requestlimitexceeded|serviceunavailable|503",
        "the store throttled the requests ({code}) in all retries; rerun the command later, or with fewer workers: it "
        "resumes",
    ),
    (
        "internalfailure|internalerror|500|502|504",
        "the store failed ({code}) in all retries; rerun the command later: it resumes",
    ),
    (
        "networkconnection|requesttimeout",
        "no complete response from {endpoint} in all retries; check the address (endpoint_override in the root, or "
        "AWS_ENDPOINT_URL) and the network, then rerun the command: it resumes",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A parsed S3 failure.

    Attributes:
        code: from S3 (ExpiredToken), from the AWS SDK (ACCESS_DENIED), or an HTTP status.
        detail: the store's message, if any.
        region: the bucket's region, if the store reported it.
    """

    code: str
    detail: str
    region: str = ""

    @classmethod
    def parse(cls, text: str) -> "Refusal | None":
        """Parse pyarrow's message; None if it isn't about S3."""
        found = _FAILURE.search(text)
        if found is None:
            return None
        name, status, detail = found.groups()
        region = _REGION.search(text)
        known_as = _UNKNOWN_TO_SDK.search(detail)
        code, detail = known_as.groups() if known_as else (status if name == "UNKNOWN" and status else name, detail)
        return cls(
            code, "" if detail.startswith(_NO_BODY) else detail, (region.group(1) or region.group(2)) if region else ""
        )

    @property
    def plain(self) -> str:
        return self.code.replace("_", "").lower()

    def message(self, path: str, endpoint: str = "the object store") -> str:
        """The message: object, cause, and fix."""
        bucket = path.partition("/")[0]
        for codes, cause in _CAUSES:
            if self.plain in codes.split("|"):
                region = f" ({self.region})" if self.region else ""
                what = cause.format(code=self.code, bucket=bucket, region=region, endpoint=endpoint)
                return f"s3://{path}: {what}" + (f" [{self.detail}]" if self.detail else "")
        return f"s3://{path}: {self.detail or 'no reason given'} ({self.code})"


@contextlib.contextmanager
def store_errors_of(filesystem: fs.FileSystem, path: str) -> Iterator[None]:
    """Turn a failure on S3 into an ObjectStoreError about `path`; a missing object stays a FileNotFoundError.

    Raises:
        ObjectStoreError: the store rejected the request or failed, or the bucket does not exist.
    """
    try:
        yield
    except OSError as error:
        if not isinstance(filesystem, SteadyS3):
            raise
        if isinstance(error, FileNotFoundError):
            if not _lacks_bucket(filesystem, path):
                raise
            raise ObjectStoreError(Refusal("NoSuchBucket", "").message(path)) from error
        raise ObjectStoreError(_explain(str(error), path, filesystem)) from error


def read_retrying(filesystem: fs.FileSystem, path: str, read: Callable[[], _T]) -> _T:
    """Return `read()`, retried on truncated responses; every read of an object goes through here.

    Args:
        path: of the object, for the message.

    Raises:
        ObjectStoreError: the store rejected the request or failed.
        FileNotFoundError: the object does not exist.
    """
    with store_errors_of(filesystem, path):
        return retry_read(read)


def list_files(filesystem: fs.FileSystem, folder: str, recursive: bool = False) -> list[fs.FileInfo]:
    """List a folder; empty if it doesn't exist.

    Raises:
        ObjectStoreError: the store rejected the request or failed.
    """
    selector = fs.FileSelector(folder, recursive=recursive, allow_not_found=True)
    with store_errors_of(filesystem, folder):
        return filesystem.get_file_info(selector)


def store_error_in(error: BaseException) -> ObjectStoreError | None:
    """The object-store failure wrapped in another error, e.g. of a Ray task; or None."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if isinstance(seen, ObjectStoreError) and text.startswith("s3://"):
            return seen
        if message := _MESSAGE.search(text):
            return ObjectStoreError(message.group(1))
        if refusal := Refusal.parse(text):
            key = _KEY.search(text)
            return ObjectStoreError(refusal.message(f"{key.group(2)}/{key.group(1)}" if key else "(unknown object)"))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return None


def _explain(text: str, path: str, filesystem: SteadyS3) -> str:
    refusal = Refusal.parse(text)
    if refusal is None:
        return f"s3://{path}: {text}"
    if UNREAD in text or (not refusal.detail and not refusal.code.startswith("5")):
        refusal = _asked_again(filesystem, path, refusal)
    return refusal.message(path, filesystem.endpoint)


def _asked_again(filesystem: SteadyS3, path: str, refusal: Refusal) -> Refusal:
    """The reason of a rejected HEAD, from a request with a response body, and the bucket's region if reported."""
    code, detail, region = refusal.code, refusal.detail, refusal.region
    for what in (fs.FileSelector(f"{path}/", allow_not_found=True), path):
        try:
            filesystem.get_file_info(what)
        except OSError as error:
            again = Refusal.parse(str(error))
            if again is not None:
                code, detail = (again.code, again.detail) if again.detail else (code, detail)
                region = region or again.region
    return Refusal(code, detail, region)


def _lacks_bucket(filesystem: SteadyS3, path: str) -> bool:
    try:
        return filesystem.get_file_info(path.partition("/")[0]).type == fs.FileType.NotFound
    except OSError:
        return False
