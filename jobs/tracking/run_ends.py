"""How runs end that nobody ends: SIGTERM closes those of this process, the next run those of a process that is gone."""

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

PROCESS_TAG = "showcases.process"  # which process works on a run: `this_process`
WORKSPACE_TAG = "workspace"  # where its workspace is
HEARTBEAT = "system/cpu_utilization_percentage"  # logged every 10 s while a run lasts, see run_facts.machine_watched
LOST_SECONDS = 300.0  # without a heartbeat, after which a process on another machine counts as gone
GRACE_SECONDS = 2.0  # for MLflow after SIGTERM: `ray job stop` kills 3 s after it
TERMINATED = 128 + signal.SIGTERM  # exit code, as a shell has it
START_TOLERANCE = 2.0  # seconds by which two readings of a process's start may differ: clocks are adjusted

_open: list[Spool] = []  # of the runs that this process has begun, the outer ones first
_lock = threading.RLock()  # a signal may come while its own thread holds it


def opened(spool: Spool) -> None:
    """Note that this process works on a run."""
    with _lock:
        _open.append(spool)


def forget(spool: Spool) -> None:
    """A run that MLflow will never make has no end."""
    with _lock:
        _open.remove(spool)


def is_terminated() -> bool:
    """Whether SIGTERM has come, and the open runs are being closed."""
    return _stop is not None and _stop.is_asked.is_set()


def end(spool: Spool, status: str, seconds: float) -> bool:
    """End a run, once: what was ended by SIGTERM stays as it is.

    Args:
        status: FINISHED, FAILED or KILLED.
        seconds: to wait for MLflow.

    Returns:
        Whether MLflow has all of it.
    """
    with _lock:
        if spool not in _open:
            return True
        _open.remove(spool)
    spool.put({"do": "finish", "status": status, "end": int(time.time() * 1000)})
    return spool.close(seconds)


class _Stop:
    """Closes all open runs on request, in a thread: the main one may be blocked for long.

    The thread is there before the signal, as a signal handler may not start one.
    """

    def __init__(self) -> None:
        self.is_asked, self.is_over = threading.Event(), False
        self.thread = threading.Thread(target=self._work, name="closes runs on SIGTERM", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        self.is_asked.wait()
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
        if not self.is_asked.is_set():
            os.write(2, b"SIGTERM: ending; what is finished is kept, and the same command resumes the rest\n")
            self.is_asked.set()
        raise KeyboardInterrupt("SIGTERM")  # which Ray lets through, unlike other exceptions of a signal handler


_stop: _Stop | None = None


@contextlib.contextmanager
def closed_on_sigterm() -> Iterator[None]:
    """Inside the block, SIGTERM closes the open runs as KILLED and ends the process with 143.

    Only in the main thread, where Python handles signals; a block inside another adds nothing. Begins after Ray was
    started, which sets a handler of its own.

    Raises:
        SystemExit: with 143, after SIGTERM.
        KeyboardInterrupt: Ray Train has taken Ctrl-C for a reason to exit with 0.
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
        if stop.is_asked.is_set():
            raise SystemExit(TERMINATED) from error
        if isinstance(error, SystemExit) and not error.code:
            raise KeyboardInterrupt from error
        raise
    finally:
        stop.is_over = not stop.is_asked.is_set()
        stop.is_asked.set()
        stop.thread.join(2 * GRACE_SECONDS)
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
        _stop = None
    if not stop.is_over:  # somebody took the interrupt for the end of their own work
        raise SystemExit(TERMINATED)


def this_process() -> str:
    """This process as JSON, to be told apart from all others: host, machine, pid, start in seconds since 1970."""
    import psutil

    started = psutil.Process().create_time()
    return json.dumps({"host": socket.gethostname(), "machine": _machine(), "pid": os.getpid(), "started": started})


@cache
def _machine() -> str:
    """Boot and namespace of process ids: pids of two containers, or of two boots, can't be compared."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def is_gone(process: str) -> bool | None:
    """Whether a process (`this_process`) has ended; None if it can't be known, as it ran on another machine."""
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
    """Close as KILLED the runs of a workspace whose process is gone.

    A process on this machine is looked up; one on another is gone if none of its runs has logged a heartbeat for
    LOST_SECONDS by this machine's clock. If that is wrong, as MLflow was out of reach for it, it sets the right
    status itself when the run ends.

    Args:
        workspace: its place, as in the tag.
        run_id: of a run that this process resumes, which stays open.
        superseded: name of runs that must be over, as this process holds the claim of what they write.

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
    """Seconds since any of these runs gave a sign of life."""
    signs = [run.info.start_time for run in runs]
    for run in runs:
        signs += [metric.timestamp for metric in client.get_metric_history(run.info.run_id, HEARTBEAT)]
    return time.time() - max(signs) / 1000
