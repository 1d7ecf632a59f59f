"""How a command ends: one line for a person, and an exit code that tells a scheduler whether to try again.

The codes are those of sysexits.h. `jobs.submit --retries` sends a job again that ended with one of RETRIED.
"""

import sys
from typing import Any

from showcases.errors import ShowcasesError
from showcases.storage.s3_errors import store_error_in
from showcases.system_errors import system_error_in

UNAVAILABLE = 69  # EX_UNAVAILABLE: Ray did not start, or can't be reached
LOST = 75  # EX_TEMPFAIL: a process or a node is gone
RETRIED = (UNAVAILABLE, LOST)
LONGEST = 600  # characters of what Ray says about a lost process


class exit_on_error:  # noqa: N801 - reads as a statement
    """End with one line and an exit code for what a person can act on; other errors keep their stack trace."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        explained = explain(error)
        if explained is not None:
            print(f"error: {explained}", file=sys.stderr, flush=True)
            raise SystemExit(explained.exit_code) from error
        if is_lost(error):
            said = " ".join(str(error).split())[:LONGEST]
            print(
                f"error: a process or a node that this worked with is gone ({type(error).__name__}: {said}). Run the "
                "same command again: finished work is kept",
                file=sys.stderr,
                flush=True,
            )
            raise SystemExit(LOST) from error


def explain(error: BaseException) -> ShowcasesError | None:
    """What a person can act on behind an error, e.g. of a task on another node; None if nothing is known about it."""
    cause = getattr(error, "cause", None)  # of Ray's RayTaskError, whose own text is a stack trace
    if isinstance(cause, ShowcasesError):
        error = cause
    if isinstance(error, ShowcasesError):
        return store_error_in(error) or error
    return store_error_in(error) or system_error_in(error)


def is_lost(error: BaseException) -> bool:
    """Whether a process or a node is gone, which is no fault of the work."""
    if "ray" not in sys.modules:
        return False
    from ray import exceptions as gone  # here: many commands need no Ray

    return isinstance(
        error,
        gone.RayActorError
        | gone.WorkerCrashedError
        | gone.NodeDiedError
        | gone.ObjectLostError
        | gone.LocalRayletDiedError
        | gone.RpcError,
    )
