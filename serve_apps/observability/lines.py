"""Log lines of every deployment: JSON, one object a line, or Serve's own text; in Serve's log files."""

import asyncio
import datetime
import json
import logging
from collections.abc import Callable
from logging.handlers import MemoryHandler
from typing import Any, Literal

from serve_apps.observability import logs

logger = logging.getLogger("ray.serve")


class JsonLines(logging.Formatter):
    """One object a record. Records were masked when they were made (`serve_apps.observability.logs`)."""

    def __init__(self, deployment: str, replica: str) -> None:
        super().__init__()
        self._whose = {"deployment": deployment, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            **self._whose,
            "request_id": getattr(record, "http_request_id", "-"),
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if error := record.exc_text or (record.exc_info and self.formatException(record.exc_info)):
            line["error"] = error
        return json.dumps(line, default=str)  # in ASCII: U+2028 would end the line for many readers


def extra(told: dict[str, Any]) -> dict[str, Any]:
    """`extra` of a log call: fields of its own for JSON lines."""
    return {"told": told}


def after_answer(tell: Callable[[], None]) -> None:
    """Call it once what is on its way to a client is sent: nobody should wait for a line in a log.

    It runs in the event loop's next round, in the context of now; without a loop, at once.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        tell()
        return
    loop.call_soon(tell)


def install(form: Literal["json", "text"], deployment: str) -> None:
    """Mask, and write lines so, in this process; the terminal keeps to warnings where there is a file.

    Serve gives its logger a stream and a file (behind a MemoryHandler) before it makes a replica. Where it has not,
    there is no replica and whoever started the process decides.
    """
    logs.install()
    files = [one.target for one in logger.handlers if isinstance(one, MemoryHandler) and one.target is not None]
    for handler in logger.handlers if files else ():
        if not isinstance(handler, MemoryHandler):
            handler.setLevel(logging.WARNING)
    if form == "json":
        for file in files:
            file.setFormatter(JsonLines(deployment, _replica()))


def _replica() -> str:
    from ray.serve import get_replica_context

    return str(get_replica_context().replica_tag)
