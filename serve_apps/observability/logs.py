"""Log records without secrets, and with the id of the request that they belong to.

A filter on a logger misses its children's records, one on a handler misses handlers that come later: Ray, uvicorn and
FastAPI bring their own. So records are masked where all of them are made, by the record factory.
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
    (re.compile(r"(?<=[\w/%-])\?[\w%.~+-]+=[^\s'\"<>)\]]*"), f"?{MASK}"),  # queries hold ids and what people search
    (re.compile(r"\bsc_([0-9a-z]{12})_[0-9A-Za-z]*"), rf"sc_\1_{MASK}"),  # cut or mistyped ones too; the id may stand
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
    """Records made inside the block carry the id, in tasks and threads started there too."""
    before = _request.get()
    _request.set(request_id)
    try:
        yield request_id
    finally:
        _request.set(before)  # not by its token: a stream that is given up is closed in another context


def mask_record(record: logging.LogRecord) -> None:
    """Mask message and stack trace, in place, and name the request as `http_request_id`."""
    if isinstance(record.args, Mapping):
        record.args = {name: _masked(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(_masked(value) for value in record.args)  # as many: uvicorn's formatter takes them apart
    try:
        text = record.getMessage()
    except Exception:  # a wrong format: logging itself would print message and arguments, secrets and all
        text, record.args = f"{record.msg} (its arguments do not fit)", ()
        record.msg = mask(text)
    if mask(text) != text:
        record.msg, record.args = mask(text), ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None  # a formatter prints exc_text, or would make its own text of this
    if not hasattr(record, "http_request_id"):
        record.http_request_id = _request.get()  # not request_id: Ray adds one, and logging allows no second


def _masked(value: object) -> object:
    """The value itself where it shows no secret, so that %d and the like work on."""
    shown = str(value)
    return value if mask(shown) == shown else mask(shown)


def install() -> None:
    """Mask every record of this process from now on; again does nothing."""
    made = logging.getLogRecordFactory()
    if getattr(made, "masks", False):
        return

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = made(*args, **kwargs)
        mask_record(record)
        return record

    factory.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
