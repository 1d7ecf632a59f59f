"""Object-store failures in LanceDB calls: retry what is safe to retry, report the rest in one line.

LanceDB's client retries most requests itself, but not a conditional PUT (each commit of a table): after a dropped
connection it can't know whether the first request arrived.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

from showcases.errors import ObjectStoreError
from showcases.storage.s3_errors import Refusal

logger = logging.getLogger(__name__)

TRIES = 6
FIRST_WAIT_S = 0.5  # doubled after each try
_ON_STORE = re.compile(r"Generic S3 error|Error performing [A-Z]+ http")
_CODE = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*))?")
_STATUS = re.compile(r"status:? (\d{3})")
_TRANSIENT = ("429", "500", "502", "503", "504", "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout")
_T = TypeVar("_T")


def retry_store_failures(place: str, work: Callable[[], _T]) -> _T:
    """Return `work()`, retried while the object store drops connections, is busy, or fails.

    Args:
        place: s3://bucket/key that is read or written, for the message.
        work: idempotent, because an earlier try may have taken effect.

    Raises:
        ObjectStoreError: the store rejected the request (no retry), or failed TRIES times.
    """
    for number in range(TRIES):
        try:
            return work()
        except (RuntimeError, OSError, ValueError) as error:
            refusal = store_refusal(error)
            if refusal is None:
                raise
            if number == TRIES - 1 or not _is_transient(refusal):
                raise ObjectStoreError(refusal.message(place.removeprefix("s3://"))) from error
            logger.warning("%s: %s; retrying (%d of %d)", place, refusal.code, number + 2, TRIES)
            time.sleep(FIRST_WAIT_S * 2**number)
    raise AssertionError  # the last try returns or raises


def store_refusal(error: BaseException) -> Refusal | None:
    """The object-store failure behind a LanceDB error; None if the error has another cause."""
    text = str(error)
    if not _ON_STORE.search(text):
        return None
    if answer := _CODE.search(text):
        return Refusal(answer.group(1), answer.group(2) or "")
    if status := _STATUS.search(text):
        return Refusal(status.group(1), "")
    return Refusal("NETWORK_CONNECTION", "")


def _is_transient(refusal: Refusal) -> bool:
    return refusal.code in _TRANSIENT or refusal.code == "NETWORK_CONNECTION"
