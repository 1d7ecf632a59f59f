"""What a run tells MLflow: noted at once, sent by a thread, kept in the workspace while MLflow is away.

Training waits for no answer of MLflow's. What could not be sent when the process ends is sent by the next step of the
workspace, or by `python -m jobs.resend`.
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
MAX_OPS = 100_000  # noted and not sent; metrics beyond it are dropped, and counted
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts while MLflow is away
KEEP_EVERY = 0.5  # seconds between looks at what waits: what was there at the last is kept in the workspace
KEEP_SHARE = 20  # and at least so many times what it took to keep it
LIVE: set[str] = set()  # names of the spools of this process


class Spool:
    """The ops of one run in one process.

    Args:
        uri: of MLflow.
        run: its id, or the pending one.
        root: of the workspace that keeps what can't be sent; without one it is kept in memory alone.
    """

    def __init__(self, uri: str, run: str, root: str = "") -> None:
        self.uri, self.run = uri, run
        self.workspace = Workspace(root) if root else None
        self.name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        self.replay = Replay(uri, run, self.say)
        self.failure: Exception | None = None  # of the last attempt
        self._ops: list[Op] = []  # not sent yet, in order; only the sending thread takes some out
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ending = self._over = self._closed = self._kept = False
        self._dropped = self._files = self._noted = self._sent = 0  # counts
        self._settled = (0, 0)  # what was noted and sent when the workspace last had all that waits
        self._keeping = threading.Lock()  # one writes the file at a time

    @property
    def place(self) -> str:
        """Where the workspace keeps it."""
        return self.workspace.path(SPOOLS, self.name) if self.workspace else "memory"

    def put(self, *ops: Op) -> None:
        """Note ops, to be sent; never waits for MLflow."""
        with self._changed:
            room = len(self._ops) + len(ops) <= MAX_OPS
            taken = [op for op in ops if room or op["do"] != "metric"]
            if len(taken) < len(ops) and not self._dropped:
                self.say(f"{MAX_OPS:,} entries wait for MLflow: further metrics are dropped")
            self._dropped += len(ops) - len(taken)
            self._ops.extend(taken)
            self._noted += len(taken)
            self._start()
            self._changed.notify_all()

    def now_or_later(self, op: Op, folder: Path | None = None) -> Any:
        """Carry out an op after all that was noted before, or keep it and its files for later.

        Returns:
            What came of it; None where it was kept, or refused.
        """
        if self.drain(LONGEST_PAUSE):
            try:
                return self.replay.apply(op, folder)
            except Exception as error:
                self._failed(error)
        if folder is not None:
            if self.workspace is None:
                self.say(f"{op['do']} is lost: there is no workspace to keep its files in")
                return None
            self._files += 1
            self.workspace.upload(folder, SPOOLS, self.name, str(self._files))
            op = op | {"folder": str(self._files)}
        self.put(op)
        return None

    def drain(self, seconds: float) -> bool:
        """Wait until all is sent; not after a failed attempt.

        Returns:
            Whether all is sent.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._ops or self.failure is not None, seconds)
            return not self._ops

    def close(self, seconds: float) -> bool:
        """Try once more and end; what is left stays in the workspace.

        Returns:
            Whether all is sent.
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
            self._keep()
        return not left

    def discard(self) -> None:
        """End without having sent anything."""
        with self._changed:
            self._ops.clear()
        self.close(LONGEST_PAUSE)

    def _start(self) -> None:
        if self._thread is None and not self._ending:
            LIVE.add(self.name)
            self._thread = threading.Thread(target=self._work, name=f"tracking-{self.name}", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        keeper = threading.Thread(target=self._keep_what_waits, name=f"keeping-{self.name}", daemon=True)
        keeper.start()
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
        keeper.join()
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
        """What there is now; more may be noted meanwhile."""
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
                self.say(f"MLflow at {self.uri} can't be reached ({brief(error)}): kept in {self.place}, sent later")
            self.failure = error
            self._changed.notify_all()

    def _end(self) -> None:
        if not self._ops and self.workspace is not None and (self._kept or self._files):
            with contextlib.suppress(Exception):  # it would be sent again, which changes nothing
                self.workspace.remove(SPOOLS, self.name)
        with self._changed:
            LIVE.discard(self.name)
            self._thread = None
            self._changed.notify_all()

    def _keep_what_waits(self) -> None:
        """So that a killed process loses little: what MLflow has not taken in half a second, the workspace has."""
        pause = KEEP_EVERY
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or (self._noted, self._sent) != self._settled)
                noted = self._noted
                self._changed.wait_for(lambda: self._over, pause)
                if self._over:
                    return
                now, is_sent, waits = (self._noted, self._sent), not self._ops, self._sent < noted
            if is_sent and not self._kept:
                self._settled = now
            elif waits or self._kept:
                began = time.monotonic()
                is_kept = self._keep()
                self._settled = now if is_kept else self._settled
                pause = max(KEEP_EVERY, KEEP_SHARE * (time.monotonic() - began)) if is_kept else LONGEST_PAUSE

    def _keep(self) -> bool:
        if self.workspace is None:
            return True
        with self._keeping:
            with self._changed:
                ops, is_open = list(self._ops), not self._closed
            uri = "" if is_own(self.workspace.root, self.uri) else self.uri  # its own moves with it
            told = {"uri": uri, "run": self.run, "open": is_open, "host": socket.gethostname(), "pid": os.getpid()}
            try:
                self.workspace.write_bytes(json.dumps(told | {"ops": ops}).encode(), SPOOLS, self.name, OPS)
            except Exception as error:  # the store's failure is no reason to stop sending
                self.say(f"{self.place} can't be written ({brief(error)}): kept in memory alone")
                return False
            self._kept = bool(ops) or self._kept
            return True

    @staticmethod
    def say(message: str) -> None:
        print(f"  tracking: {message}", flush=True)


@contextlib.contextmanager
def files_of(workspace: Workspace | None, name: str, op: Op) -> Iterator[Path]:
    """The folder of files that a spool keeps for an op."""
    with tempfile.TemporaryDirectory() as folder:
        if "folder" in op and workspace is not None:
            workspace.download(SPOOLS, Path(folder), name, op["folder"])
        yield Path(folder)


def brief(error: Exception) -> str:
    """The first line of what it says."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
