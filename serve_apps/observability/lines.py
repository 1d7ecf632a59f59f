"""Log format of every deployment: JSON lines or Serve's text, in Serve's log files."""

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
    """One JSON object per record. Secrets are masked earlier, in `serve_apps.observability.logs`."""

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
            **getattr(record, "fields", {}),
        }
        if error := record.exc_text or (record.exc_info and self.formatException(record.exc_info)):
            line["error"] = error
        return json.dumps(line, default=str)  # ASCII: many readers treat U+2028 as a line break


def extra(fields: dict[str, Any]) -> dict[str, Any]:
    """`extra` of a log call: additional fields of the JSON line."""
    return {"fields": fields}


def after_answer(log: Callable[[], None]) -> None:
    """Call `log` after the response is sent, so that clients don't wait for logging.

    Runs in the event loop's next iteration with the current context; immediately if there is no loop.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        log()
        return
    loop.call_soon(log)


def install(form: Literal["json", "text"], deployment: str) -> None:
    """Configure masking and the log format in this process; if there is a log file, the terminal gets only warnings.

    Serve adds a stream and a file handler (behind a MemoryHandler) to its logger before it creates a replica. Without
    them this process is not a replica, and its handlers stay unchanged.
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
