"""Detect full disks and denied access in any error, and explain them in one line.

The operating system's errors arrive in many forms: an OSError, text of sqlite, of Arrow or of Rust, or the stack trace
of a task on another node. Common to them is the error number or the system's message.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from showcases.errors import AccessDeniedError, DiskFullError, ShowcasesError

FULL = {
    errno.ENOSPC: "the disk is full, or has no inodes left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed the limit on file size (`ulimit -f`)",
}
DENIED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
}
WORDS = {  # of programs that don't report an error number
    "database or disk is full": errno.ENOSPC,
    "Local disk is full": errno.ENOSPC,  # Ray's OutOfDiskError
    "attempt to write a readonly database": errno.EROFS,
}
PROBE_BYTES = 64 * 2**10
MAKE_ROOM = "Make room (`df -h` shows which disk), then rerun the same command; it resumes"
GRANT = (
    "Grant the user who runs this (`id`) access to it (see `ls -ld` and `mount`), or use another path, then rerun the "
    "same command"
)
_NUMBER = re.compile(r"\[errno (\d+)\]|\(os error (\d+)\)", re.IGNORECASE)
_NODE = re.compile(r"\(pid=\d+, ip=([\w.:]+)")  # in the text of Ray's RayTaskError
_QUOTED = re.compile(r"'(/[^']*)'")


def explain(number: int, path: str | None, node: str | None = None) -> ShowcasesError | None:
    """The error for one of the system's error numbers; None for a number that is neither full nor denied."""
    where = (path or "a disk") + (f" on node {node}" if node else "")
    if number in FULL:
        return DiskFullError(f"{where}: {FULL[number]}. {MAKE_ROOM}")
    if number in DENIED and path:  # without one it may be a port or a process
        return AccessDeniedError(f"{where}: {DENIED[number]}. {GRANT}")
    return None


def system_error_in(error: BaseException) -> ShowcasesError | None:
    """The full disk or denied access behind an error, also if wrapped; None if it has another cause."""
    place = _NODE.search(str(error))
    node = place.group(1) if place else None
    for each in _chain(error):
        if isinstance(each, DiskFullError | AccessDeniedError):
            return each
        number, path = _number_and_path(each)
        if number is not None and (found := explain(number, path, node)) is not None:
            return found
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, of Ray (`cause`) and Ray Train (`worker_failures`) too; innermost first."""
    inner = [getattr(error, "cause", None), error.__cause__, *getattr(error, "worker_failures", {}).values()]
    for each in inner:
        if isinstance(each, BaseException) and each is not error:
            yield from _chain(each)
    yield error


def _number_and_path(error: BaseException) -> tuple[int | None, str | None]:
    if isinstance(error, OSError) and error.errno in FULL.keys() | DENIED.keys():
        return error.errno, str(error.filename) if error.filename else _path_in(str(error))
    text = str(error)
    for found in _NUMBER.finditer(text):
        number = int(found.group(1) or found.group(2))
        if number in FULL or number in DENIED:
            after = text[found.end() :].partition("\n")[0]
            before = text[: found.start()].rpartition("\n")[2]
            return number, _path_in(after) or _path_in(before)
    return next((number for words, number in WORDS.items() if words in text), None), None


def _path_in(text: str) -> str | None:
    found = _QUOTED.search(text)
    return found.group(1) if found else None


def check_folder(folder: Path, need_bytes: int = 0, what: str = "") -> None:
    """Check that this process can write to a folder, creating it if necessary, and that its disk has space.

    Args:
        need_bytes: free space that the disk must have.
        what: purpose of the folder, e.g. "the workspace".

    Raises:
        DiskFullError: less is free, or the probe file does not fit.
        AccessDeniedError: the folder can't be created or written to.
    """
    named = f"{folder} ({what})" if what else str(folder)
    probe = folder / f".probe-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as stream:
                stream.write(bytes(PROBE_BYTES))
                stream.flush()
                os.fsync(stream.fileno())  # NFS and quotas may fail only now
        finally:
            probe.unlink(missing_ok=True)
        free = os.statvfs(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise AccessDeniedError(f"{named}: it, or a part of its path, is a file, not a folder. Use another") from error
    except OSError as error:
        found = explain(error.errno or 0, named)
        raise (found or AccessDeniedError(f"{named}: can't be written to: {error.strerror}. {GRANT}")) from error
    if free.f_bavail * free.f_frsize < need_bytes:
        raise DiskFullError(
            f"{named}: {free.f_bavail * free.f_frsize / 2**20:,.0f} MiB are free, {need_bytes / 2**20:,.0f} MiB are "
            f"needed. {MAKE_ROOM}"
        )
