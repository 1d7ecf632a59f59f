"""Exit of a command: a one-line error, and an exit code that tells a scheduler whether to retry.

Codes are those of sysexits.h. `jobs.submit --retries` retries jobs that exit with one of RETRIED.
"""

import sys
from typing import Any

from showcases.errors import ShowcasesError
from showcases.storage.s3_errors import store_error_in
from showcases.system_errors import system_error_in

UNAVAILABLE = 69  # EX_UNAVAILABLE: Ray didn't start, or can't be reached
LOST = 75  # EX_TEMPFAIL: a process or node was lost
RETRIED = (UNAVAILABLE, LOST)
LONGEST = 600  # max characters of Ray's message about a lost process


class exit_on_error:  # noqa: N801 - used like a function
    """Exit with one line and an exit code for actionable errors; others keep their stack trace."""

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
            message = " ".join(str(error).split())[:LONGEST]
            print(
                f"error: a process or node was lost ({type(error).__name__}: {message}). Run the "
                "same command again to resume",
                file=sys.stderr,
                flush=True,
            )
            raise SystemExit(LOST) from error


def explain(error: BaseException) -> ShowcasesError | None:
    """The actionable error behind an exception, e.g. of a remote task; None if there is none."""
    cause = getattr(error, "cause", None)  # RayTaskError's own text is a stack trace
    if isinstance(cause, ShowcasesError):
        error = cause
    if isinstance(error, ShowcasesError):
        return store_error_in(error) or error
    return store_error_in(error) or system_error_in(error)


def is_lost(error: BaseException) -> bool:
    """Whether a process or node was lost, so that a retry may succeed."""
    if "ray" not in sys.modules:
        return False
    from ray import exceptions as gone  # local import: many commands don't need Ray

    return isinstance(
        error,
        gone.RayActorError
        | gone.WorkerCrashedError
        | gone.NodeDiedError
        | gone.ObjectLostError
        | gone.LocalRayletDiedError
        | gone.RpcError,
    )
