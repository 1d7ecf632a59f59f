"""Closes interrupted runs: on SIGTERM those of this process, at the next run those of dead processes."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from jobs.tracking.spool import Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PROCESS_TAG = "showcases.process"  # the process of a run, see `this_process`
WORKSPACE_TAG = "workspace"  # location of its workspace
HEARTBEAT = "system/cpu_utilization_percentage"  # logged every 10 s during a run, see run_facts.machine_watched
LOST_SECONDS = 300.0  # without a heartbeat, until a process on another machine counts as dead
GRACE_SECONDS = 2.0  # for MLflow after SIGTERM; `ray job stop` kills after 3 s
TERMINATED = 128 + signal.SIGTERM  # exit code, as in shells
START_TOLERANCE = 2.0  # seconds between two readings of a process's start time, as clocks are adjusted

_open: list[Spool] = []  # of this process's open runs, outer ones first
_lock = threading.RLock()  # reentrant: a signal may interrupt the thread that holds it


def opened(spool: Spool) -> None:
    """Register an open run of this process."""
    with _lock:
        _open.append(spool)


def forget(spool: Spool) -> None:
    """Unregister a run that MLflow will never create."""
    with _lock:
        _open.remove(spool)


def is_terminated() -> bool:
    """Whether SIGTERM was received and open runs are being closed."""
    return _stop is not None and _stop.is_requested.is_set()


def end(spool: Spool, status: str, seconds: float) -> bool:
    """End a run once; does nothing if SIGTERM ended it already.

    Args:
        status: FINISHED, FAILED or KILLED.
        seconds: to wait for MLflow.

    Returns:
        Whether everything was sent to MLflow.
    """
    with _lock:
        if spool not in _open:
            return True
        _open.remove(spool)
    spool.put({"do": "finish", "status": status, "end": int(time.time() * 1000)})
    return spool.close(seconds)


class _Stop:
    """Closes all open runs on SIGTERM in a thread, as the main thread may be blocked.

    The thread is started beforehand, since a signal handler can't start one.
    """

    def __init__(self) -> None:
        self.is_requested, self.is_over = threading.Event(), False
        self.thread = threading.Thread(target=self._work, name="closes runs on SIGTERM", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        self.is_requested.wait()
        if self.is_over:
            return
        with _lock:
            taken = list(reversed(_open))
        until = time.monotonic() + GRACE_SECONDS
        for spool in taken:
            spool.put({"do": "tag", "key": "error", "value": "SIGTERM"})
        threads = [threading.Thread(target=end, args=(spool, "KILLED", GRACE_SECONDS), daemon=True) for spool in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if not self.is_requested.is_set():
            os.write(2, b"SIGTERM: stopping; run the same command again to resume\n")
            self.is_requested.set()
        raise KeyboardInterrupt("SIGTERM")  # Ray suppresses other exceptions from signal handlers


_stop: _Stop | None = None


@contextlib.contextmanager
def closed_on_sigterm() -> Iterator[None]:
    """Inside the block, SIGTERM closes open runs as KILLED and exits with 143.

    Works only in the main thread; nested blocks have no effect. Enter it after Ray was started, since Ray sets its own
    handler.

    Raises:
        SystemExit: with 143, after SIGTERM.
        KeyboardInterrupt: instead of Ray Train's exit with 0 at Ctrl-C.
    """
    global _stop
    if _stop is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _stop = stop = _Stop()
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except BaseException as error:
        if stop.is_requested.is_set():
            raise SystemExit(TERMINATED) from error
        if isinstance(error, SystemExit) and not error.code:
            raise KeyboardInterrupt from error
        raise
    finally:
        stop.is_over = not stop.is_requested.is_set()
        stop.is_requested.set()
        stop.thread.join(2 * GRACE_SECONDS)
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
        _stop = None
    if not stop.is_over:  # the interrupt was swallowed inside the block
        raise SystemExit(TERMINATED)


def this_process() -> str:
    """Unique identity of this process as JSON: host, machine, pid, start in seconds since 1970."""
    import psutil

    started = psutil.Process().create_time()
    return json.dumps({"host": socket.gethostname(), "machine": _machine(), "pid": os.getpid(), "started": started})


@cache
def _machine() -> str:
    """Boot id and pid namespace: pids are only comparable within both."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def is_gone(process: str) -> bool | None:
    """Whether a process (`this_process`) has ended; None if it ran on another machine."""
    import psutil

    other = json.loads(process)
    if (other["host"], other["machine"]) != (socket.gethostname(), _machine()):
        return None
    try:
        found = psutil.Process(other["pid"])
        is_other = abs(found.create_time() - other["started"]) > START_TOLERANCE
        return is_other or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def close_lost(
    client: "MlflowClient", experiment: str, workspace: str, run_id: str, superseded: str | None = None
) -> list[str]:
    """Close a workspace's runs of dead processes as KILLED.

    Processes on this machine are looked up; others count as dead if none of their runs has logged a heartbeat for
    LOST_SECONDS by this machine's clock. A process that was only disconnected from MLflow corrects the status itself
    when its run ends.

    Args:
        workspace: its location, as in the tag.
        run_id: a run that this process resumes, which stays open.
        superseded: name of runs that must be over, as this process holds the claim on their artifacts.

    Returns:
        Names of the runs that were closed.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    running = client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")
    by_process: dict[str, list[Run]] = {}
    for run in running:
        process = run.data.tags.get(PROCESS_TAG, "")
        if run.data.tags.get(WORKSPACE_TAG) == workspace and run.info.run_id != run_id and process != this_process():
            by_process.setdefault(process or run.info.run_id, []).append(run)
    closed = []
    for process, runs in by_process.items():
        gone = is_gone(process) if process.startswith("{") else None
        gone = _silence(client, runs) > LOST_SECONDS if gone is None else gone
        for run in runs:
            if gone or run.info.run_name == superseded:
                client.set_terminated(run.info.run_id, "KILLED")
                closed.append(str(run.info.run_name))
    return closed


def _silence(client: "MlflowClient", runs: "list[Run]") -> float:
    """Seconds since the last heartbeat or start of any of these runs."""
    signs = [run.info.start_time for run in runs]
    for run in runs:
        signs += [metric.timestamp for metric in client.get_metric_history(run.info.run_id, HEARTBEAT)]
    return time.time() - max(signs) / 1000
