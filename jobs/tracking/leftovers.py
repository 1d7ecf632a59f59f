"""What processes that ended could not tell MLflow, sent by one that comes later."""

import json
import os
import socket
from functools import partial

from jobs.tracking.replay import NotMadeError, Replay
from jobs.tracking.spool import LIVE, OPS, SPOOLS, Spool, brief, files_of
from showcases.storage.artifacts import Workspace
from showcases.tracking_db import database_uri


def waiting(workspace: Workspace, everything: bool = False) -> list[str]:
    """Names of the spools that no process is at work on, the oldest first; arguments as those of `send_left`."""
    return [name for name in workspace.folders_in(SPOOLS) if _is_left(workspace, name, everything)]


def _is_left(workspace: Workspace, name: str, everything: bool) -> bool:
    if name in LIVE:
        return False
    told = workspace.find_json(SPOOLS, name, OPS)
    if told is None:
        return False
    if told["host"] != socket.gethostname():
        return everything or not told["open"]
    return not told["open"] or told["pid"] == os.getpid() or not _runs(told["pid"])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def send_left(workspace: Workspace, uri: str | None = None, everything: bool = False) -> tuple[int, int]:
    """Send what earlier processes left behind; up to the first attempt that fails.

    Args:
        uri: of MLflow; without it the one that each spool was made for.
        everything: also those of processes on other machines that did not end in order; they must not run any more.

    Returns:
        (spools sent, spools left).
    """
    names = waiting(workspace, everything)
    sent = 0
    for name in names:
        told = json.loads(workspace.read_bytes(SPOOLS, name, OPS))
        replay, ops = Replay(uri or told["uri"] or database_uri(workspace.root), told["run"], Spool.say), told["ops"]
        try:
            replay.send(ops, partial(files_of, workspace, name))
        except Exception as error:
            workspace.write_json(told | {"ops": ops, "open": False}, SPOOLS, name, OPS)
            Spool.say(f"{name}: not sent yet: {brief(error)}")
            if isinstance(error, NotMadeError):  # of a run that another spool makes
                continue
            break
        workspace.remove(SPOOLS, name)
        sent += 1
    return sent, len(names) - sent
