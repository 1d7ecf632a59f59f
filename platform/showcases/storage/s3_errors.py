"""Why an object store refused or failed, in words that say which object and what to do.

pyarrow gives an OSError with the AWS SDK's text. An answer to HEAD has no body: there the cause is asked for again.
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
_TOLD = re.compile(r"ObjectStoreError: (s3://.*)")
_REGION = re.compile(r"expecting '([\w-]+)'|located in '([\w-]+)'")

_CAUSES: tuple[tuple[str, str], ...] = (  # S3's error codes, in small letters without underscores; cause and cure
    (
        "expiredtoken|expiredtokenexception|tokenrefreshrequired",
        "the credential has expired ({code}): get a new one (`aws sso login`, or a new AWS_SESSION_TOKEN) and run "
        "again; finished work is kept",
    ),
    (
        "invalidaccesskeyid|signaturedoesnotmatch|invalidtoken|invalidsecurity|invalidclienttokenid|unrecognizedclient",
        "the credential is not valid there ({code}); check the key, secret and session token that the AWS chain finds "
        "first (AWS_ACCESS_KEY_ID, AWS_PROFILE, instance role) with `aws sts get-caller-identity`",
    ),
    ("requesttimetooskewed|requestexpired", "this machine's clock is wrong ({code}); set it, then run again"),
    (
        "accessdenied|forbidden|allaccessdisabled|403",
        "access denied; the credential (`aws sts get-caller-identity` says whose it is) needs s3:GetObject, "
        "s3:PutObject, s3:DeleteObject and s3:ListBucket there",
    ),
    ("400", "refused without a reason (400): most often the credential, expired or mistyped"),
    ("nosuchbucket", "there is no bucket {bucket}; make it, or mend the root"),
    (
        "permanentredirect|authorizationheadermalformed|illegallocationconstraint|301",
        "the bucket is in another region{region}; put the right one into the root, s3://{bucket}/...?region=REGION",
    ),
    (
        "slowdown|throttling|throttlingexception|requestlimitexceeded|serviceunavailable|503",
        "the store asked to slow down ({code}), however often it was asked; run again later, or with fewer workers: "
        "finished work is kept",
    ),
    (
        "internalfailure|internalerror|500|502|504",
        "the store failed ({code}), however often it was asked; run again later: finished work is kept",
    ),
    (
        "networkconnection|requesttimeout",
        "no whole answer from {endpoint}, however often it was asked; check the address (endpoint_override in the "
        "root, or AWS_ENDPOINT_URL) and the network, then run again: finished work is kept",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Refusal:
    """A failure in S3's terms.

    Attributes:
        code: of S3 (ExpiredToken), of the AWS SDK (ACCESS_DENIED), or an HTTP status.
        said: the store's own words, if there were any.
        region: of the bucket, where the store told it.
    """

    code: str
    said: str
    region: str = ""

    @classmethod
    def parse(cls, text: str) -> "Refusal | None":
        """What pyarrow's message says; None where it isn't about S3."""
        found = _FAILURE.search(text)
        if found is None:
            return None
        name, status, said = found.groups()
        region = _REGION.search(text)
        known_as = _UNKNOWN_TO_SDK.search(said)
        code, said = known_as.groups() if known_as else (status if name == "UNKNOWN" and status else name, said)
        return cls(
            code, "" if said.startswith(_NO_BODY) else said, (region.group(1) or region.group(2)) if region else ""
        )

    @property
    def plain(self) -> str:
        return self.code.replace("_", "").lower()

    def message(self, path: str, endpoint: str = "the object store") -> str:
        """Where, what, and what to do."""
        bucket = path.partition("/")[0]
        for codes, cause in _CAUSES:
            if self.plain in codes.split("|"):
                region = f" ({self.region})" if self.region else ""
                what = cause.format(code=self.code, bucket=bucket, region=region, endpoint=endpoint)
                return f"s3://{path}: {what}" + (f" [{self.said}]" if self.said else "")
        return f"s3://{path}: {self.said or 'the store gave no reason'} ({self.code})"


@contextlib.contextmanager
def store_errors_of(filesystem: fs.FileSystem, path: str) -> Iterator[None]:
    """Turn a failure on S3 into an ObjectStoreError about `path`; a missing object stays a FileNotFoundError.

    Raises:
        ObjectStoreError: the store refused, failed, or has no such bucket.
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
    """Return `read()`, repeated where an answer broke off; every read of an object goes through here.

    Args:
        path: of what is read, for the message.

    Raises:
        ObjectStoreError: the store refused or failed.
        FileNotFoundError: there is no such object.
    """
    with store_errors_of(filesystem, path):
        return retry_read(read)


def list_files(filesystem: fs.FileSystem, folder: str, recursive: bool = False) -> list[fs.FileInfo]:
    """What lies in a folder; nothing if it doesn't exist.

    Raises:
        ObjectStoreError: the store refused or failed.
    """
    selector = fs.FileSelector(folder, recursive=recursive, allow_not_found=True)
    with store_errors_of(filesystem, folder):
        return filesystem.get_file_info(selector)


def store_error_in(error: BaseException) -> ObjectStoreError | None:
    """The object store's failure behind an error that came another way, e.g. from a Ray task; or None."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if isinstance(seen, ObjectStoreError) and text.startswith("s3://"):
            return seen
        if told := _TOLD.search(text):
            return ObjectStoreError(told.group(1))
        if refusal := Refusal.parse(text):
            key = _KEY.search(text)
            return ObjectStoreError(refusal.message(f"{key.group(2)}/{key.group(1)}" if key else "(unknown object)"))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return None


def _explain(text: str, path: str, filesystem: SteadyS3) -> str:
    refusal = Refusal.parse(text)
    if refusal is None:
        return f"s3://{path}: {text}"
    if UNREAD in text or (not refusal.said and not refusal.code.startswith("5")):
        refusal = _asked_again(filesystem, path, refusal)
    return refusal.message(path, filesystem.endpoint)


def _asked_again(filesystem: SteadyS3, path: str, refusal: Refusal) -> Refusal:
    """The reason of a refused HEAD, from an answer that has a body; the bucket's region from one that has it."""
    code, said, region = refusal.code, refusal.said, refusal.region
    for what in (fs.FileSelector(f"{path}/", allow_not_found=True), path):
        try:
            filesystem.get_file_info(what)
        except OSError as error:
            again = Refusal.parse(str(error))
            if again is not None:
                code, said = (again.code, again.said) if again.said else (code, said)
                region = region or again.region
    return Refusal(code, said, region)


def _lacks_bucket(filesystem: SteadyS3, path: str) -> bool:
    try:
        return filesystem.get_file_info(path.partition("/")[0]).type == fs.FileType.NotFound
    except OSError:
        return False
