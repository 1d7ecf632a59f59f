"""Asynchronous MLflow logging: operations are queued, sent by a thread, and saved while MLflow is unavailable.

Training never waits for MLflow. What couldn't be sent when the process ends is sent by the workspace's next step, or by
`python -m jobs.resend`.
"""

import contextlib
import json
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from jobs.tracking.replay import Op, Replay
from showcases.storage.artifacts import Workspace
from showcases.tracking_db import is_own

SPOOLS = "_tracking"  # folder in the workspace
OPS = "ops.json"
MAX_OPS = 100_000  # queue limit; further metrics are dropped and counted
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts while MLflow is unavailable
SAVE_SECONDS = 0.5  # seconds after which unsent ops are saved to the workspace
SAVE_SHARE = 20  # minimum pause between saves, in multiples of a save's duration
LIVE: set[str] = set()  # spools of this process


class Spool:
    """The operations of one run in one process.

    Args:
        uri: of MLflow.
        run: its id, or the pending one.
        root: workspace in which unsent ops are saved; without one they stay in memory.
    """

    def __init__(self, uri: str, run: str, root: str = "") -> None:
        self.uri, self.run = uri, run
        self.workspace = Workspace(root) if root else None
        self.name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        self.replay = Replay(uri, run, self.say)
        self.failure: Exception | None = None  # of the last attempt
        self._ops: list[Op] = []  # unsent, in order; only the sender thread removes some
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ending = self._over = self._closed = self._saved = False
        self._dropped = self._files = self._noted = self._sent = 0  # counts
        self._settled = (0, 0)  # (noted, sent) at the last complete save
        self._saving = threading.Lock()  # serializes writes

    @property
    def place(self) -> str:
        """Location of the saved spool."""
        return self.workspace.path(SPOOLS, self.name) if self.workspace else "memory"

    def put(self, *ops: Op) -> None:
        """Queue ops; never waits for MLflow."""
        with self._changed:
            room = len(self._ops) + len(ops) <= MAX_OPS
            accepted = [op for op in ops if room or op["do"] != "metric"]
            if len(accepted) < len(ops) and not self._dropped:
                self.say(f"{MAX_OPS:,} entries are queued for MLflow; dropping further metrics")
            self._dropped += len(ops) - len(accepted)
            self._ops.extend(accepted)
            self._noted += len(accepted)
            self._start()
            self._changed.notify_all()

    def now_or_later(self, op: Op, folder: Path | None = None) -> Any:
        """Send an op after all queued ones, or save it and its files for later.

        Returns:
            Its result; None if it was saved for later, or rejected.
        """
        if self.drain(LONGEST_PAUSE):
            try:
                return self.replay.apply(op, folder)
            except Exception as error:
                self._failed(error)
        if folder is not None:
            if self.workspace is None:
                self.say(f"{op['do']} is lost: no workspace to save its files in")
                return None
            self._files += 1
            self.workspace.upload(folder, SPOOLS, self.name, str(self._files))
            op = op | {"folder": str(self._files)}
        self.put(op)
        return None

    def drain(self, seconds: float) -> bool:
        """Wait until everything is sent, or an attempt failed.

        Returns:
            Whether everything was sent.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._ops or self.failure is not None, seconds)
            return not self._ops

    def close(self, seconds: float) -> bool:
        """Try once more and stop; unsent ops are saved in the workspace.

        Returns:
            Whether everything was sent.
        """
        with self._changed:
            self._ending = True
            if self._dropped:
                self._ops.append({"do": "tag", "key": "showcases.metrics_dropped", "value": str(self._dropped)})
                self._start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._thread is None, seconds)
            self._closed = True
            left = bool(self._ops)
        if left:
            self._save()
        return not left

    def discard(self) -> None:
        """Stop and drop all queued ops."""
        with self._changed:
            self._ops.clear()
        self.close(LONGEST_PAUSE)

    def _start(self) -> None:
        if self._thread is None and not self._ending:
            LIVE.add(self.name)
            self._thread = threading.Thread(target=self._work, name=f"tracking-{self.name}", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        saver = threading.Thread(target=self._save_pending, name=f"saving-{self.name}", daemon=True)
        saver.start()
        pause = FIRST_PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ops or self._ending)
                ending = self._ending
            self._attempt()
            with self._changed:
                if ending:
                    break
                if self.failure is None:
                    pause = FIRST_PAUSE
                else:
                    self._changed.wait_for(lambda: self._ending, pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        with self._changed:
            self._over = True
            self._changed.notify_all()
        saver.join()
        self._end()

    def _attempt(self) -> None:
        try:
            while self._ops:
                self._send_some()
        except Exception as error:
            self._failed(error)
        else:
            self.failure = None
        with self._changed:
            self._changed.notify_all()

    def _send_some(self) -> None:
        """Send the ops queued so far; more may arrive meanwhile."""
        with self._changed:
            taken = list(self._ops)
        count = len(taken)
        try:
            self.replay.send(taken, partial(files_of, self.workspace, self.name))
        finally:
            with self._changed:
                del self._ops[: count - len(taken)]
                self._sent += count - len(taken)

    def _failed(self, error: Exception) -> None:
        with self._changed:
            if self.failure is None:
                self.say(
                    f"MLflow at {self.uri} can't be reached ({brief(error)}): saving to {self.place}, to send later"
                )
            self.failure = error
            self._changed.notify_all()

    def _end(self) -> None:
        if not self._ops and self.workspace is not None and (self._saved or self._files):
            with contextlib.suppress(Exception):  # resending is idempotent
                self.workspace.remove(SPOOLS, self.name)
        with self._changed:
            LIVE.discard(self.name)
            self._thread = None
            self._changed.notify_all()

    def _save_pending(self) -> None:
        """Save ops to the workspace if MLflow doesn't accept them in time, in case the process is killed."""
        pause = SAVE_SECONDS
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or (self._noted, self._sent) != self._settled)
                noted = self._noted
                self._changed.wait_for(lambda: self._over, pause)
                if self._over:
                    return
                now, is_sent, waits = (self._noted, self._sent), not self._ops, self._sent < noted
            if is_sent and not self._saved:
                self._settled = now
            elif waits or self._saved:
                began = time.monotonic()
                is_saved = self._save()
                self._settled = now if is_saved else self._settled
                pause = max(SAVE_SECONDS, SAVE_SHARE * (time.monotonic() - began)) if is_saved else LONGEST_PAUSE

    def _save(self) -> bool:
        if self.workspace is None:
            return True
        with self._saving:
            with self._changed:
                ops, is_open = list(self._ops), not self._closed
            uri = (
                "" if is_own(self.workspace.root, self.uri) else self.uri
            )  # the workspace's own database moves with it
            record = {"uri": uri, "run": self.run, "open": is_open, "host": socket.gethostname(), "pid": os.getpid()}
            try:
                self.workspace.write_bytes(json.dumps(record | {"ops": ops}).encode(), SPOOLS, self.name, OPS)
            except Exception as error:  # keep sending even if saving fails
                self.say(f"{self.place} can't be written ({brief(error)}): keeping in memory only")
                return False
            self._saved = bool(ops) or self._saved
            return True

    @staticmethod
    def say(message: str) -> None:
        print(f"  tracking: {message}", flush=True)


@contextlib.contextmanager
def files_of(workspace: Workspace | None, name: str, op: Op) -> Iterator[Path]:
    """Folder with the files of an op."""
    with tempfile.TemporaryDirectory() as folder:
        if "folder" in op and workspace is not None:
            workspace.download(SPOOLS, Path(folder), name, op["folder"])
        yield Path(folder)


def brief(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
