"""Masks secrets in log records and adds the request id.

Logger filters miss child loggers' records, and handler filters miss handlers added later by Ray, uvicorn or FastAPI.
Therefore masking happens in the record factory.
"""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

MASK = "[masked]"
_request: ContextVar[str] = ContextVar("showcases_request", default="-")
_PATTERNS = (
    (re.compile(r"(?<=[\w/%-])\?[\w%.~+-]+=[^\s'\"<>)\]]*"), f"?{MASK}"),  # queries contain ids and search terms
    (
        re.compile(r"\bsc_([0-9a-z]{12})_[0-9A-Za-z]*"),
        rf"sc_\1_{MASK}",
    ),  # also truncated or mistyped keys; the id isn't secret
    (re.compile(r"(?i)(authorization\W{1,12}?)(?:(?:bearer|basic)\s+)?[^\s'\",)\]}]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?!realm=)[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)(query_string\W{1,6}b?)(['\"]).*?\2"), rf"\1\2{MASK}\2"),
)


def mask(text: str) -> str:
    """The text without keys, Authorization headers and query strings."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


@contextlib.contextmanager
def request(request_id: str) -> Iterator[str]:
    """Add the request id to records of the block, including tasks and threads started there."""
    before = _request.get()
    _request.set(request_id)
    try:
        yield request_id
    finally:
        _request.set(before)  # by value, not token: a cancelled stream is closed in another context


def mask_record(record: logging.LogRecord) -> None:
    """Mask message and stack trace in place, and set `http_request_id`."""
    if isinstance(record.args, Mapping):
        record.args = {name: _masked(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(_masked(value) for value in record.args)  # same length: uvicorn's formatter unpacks them
    try:
        text = record.getMessage()
    except Exception:  # bad format: logging would print the raw message and arguments
        text, record.args = f"{record.msg} (its arguments do not fit)", ()
        record.msg = mask(text)
    if mask(text) != text:
        record.msg, record.args = mask(text), ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None  # formatters use exc_text if exc_info is None
    if not hasattr(record, "http_request_id"):
        record.http_request_id = _request.get()  # request_id is already used by Ray


def _masked(value: object) -> object:
    """The value, masked only if it contains a secret, so that %d and the like still work."""
    shown = str(value)
    return value if mask(shown) == shown else mask(shown)


def install() -> None:
    """Install masking for this process; idempotent."""
    made = logging.getLogRecordFactory()
    if getattr(made, "masks", False):
        return

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = made(*args, **kwargs)
        mask_record(record)
        return record

    factory.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
