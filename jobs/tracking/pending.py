"""Sends spools that earlier processes couldn't send to MLflow."""

import json
import os
import socket
from functools import partial

from jobs.tracking.replay import NotMadeError, Replay
from jobs.tracking.spool import LIVE, OPS, SPOOLS, Spool, brief, files_of
from showcases.storage.artifacts import Workspace
from showcases.tracking_db import database_uri


def pending_spools(workspace: Workspace, everything: bool = False) -> list[str]:
    """Names of the spools that no running process owns, oldest first; arguments as for `send_pending`."""
    return [name for name in workspace.folders_in(SPOOLS) if _is_pending(workspace, name, everything)]


def _is_pending(workspace: Workspace, name: str, everything: bool) -> bool:
    if name in LIVE:
        return False
    record = workspace.find_json(SPOOLS, name, OPS)
    if record is None:
        return False
    if record["host"] != socket.gethostname():
        return everything or not record["open"]
    return not record["open"] or record["pid"] == os.getpid() or not _runs(record["pid"])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def send_pending(workspace: Workspace, uri: str | None = None, everything: bool = False) -> tuple[int, int]:
    """Send the spools of earlier processes, up to the first failure.

    Args:
        uri: of MLflow; by default that of each spool.
        everything: include spools of crashed processes on other machines, which must not be running any more.

    Returns:
        (spools sent, spools left).
    """
    names = pending_spools(workspace, everything)
    sent = 0
    for name in names:
        record = json.loads(workspace.read_bytes(SPOOLS, name, OPS))
        replay, ops = (
            Replay(uri or record["uri"] or database_uri(workspace.root), record["run"], Spool.say),
            record["ops"],
        )
        try:
            replay.send(ops, partial(files_of, workspace, name))
        except Exception as error:
            workspace.write_json(record | {"ops": ops, "open": False}, SPOOLS, name, OPS)
            Spool.say(f"{name}: not sent yet: {brief(error)}")
            if isinstance(error, NotMadeError):  # another spool creates its run
                continue
            break
        workspace.remove(SPOOLS, name)
        sent += 1
    return sent, len(names) - sent
