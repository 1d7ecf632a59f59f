"""Follow a submitted job to its end though the connection breaks: its log without gaps or repeats, and how it ended."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

import aiohttp
import requests
from ray.job_submission import JobDetails, JobErrorType, JobStatus, JobSubmissionClient

from jobs.runner.exits import RETRIED
from showcases.errors import ShowcasesError

REQUEST_SECONDS = 30  # for one answer of the cluster; Ray's client would wait for ever on a cut line
QUIET_SECONDS = 30  # without a line of log, then the job's status is asked for
PAUSE_SECONDS = 2.0  # between two tries on a line that is cut
BROKEN = (OSError, RuntimeError, aiohttp.ClientError, requests.RequestException)
# Ray's words for: the process that starts and watches the driver could not be placed, or went with its node.
LOST_SUPERVISOR = {
    JobErrorType.JOB_SUPERVISOR_ACTOR_DIED,
    JobErrorType.JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE,
    JobErrorType.JOB_SUPERVISOR_ACTOR_START_TIMEOUT,
    JobErrorType.JOB_SUPERVISOR_ACTOR_START_FAILURE,
    JobErrorType.JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE,
}
T = TypeVar("T")


class PatientClient(JobSubmissionClient):
    """Ray's client, with a time limit on each request: without one a cut line is never noticed."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(method, endpoint, timeout=REQUEST_SECONDS, **options)


class Follower:
    """One job, as its client sees it.

    Args:
        patience_s: how long the cluster may be out of reach before it is given up.
    """

    def __init__(self, client: JobSubmissionClient, job: str, patience_s: float) -> None:
        self.client, self.job, self.patience_s = client, job, patience_s
        self.shown = 0  # characters of the log that are printed

    def to_the_end(self) -> JobDetails:
        """Print the log as it grows; returns how the job ended.

        Raises:
            ShowcasesError: there is no such job, or the cluster was out of reach for longer than the patience.
        """
        while True:
            asyncio.run(self._tail())
            info = self.patiently(lambda: self.client.get_job_info(self.job))
            if info.status.is_terminal():
                with contextlib.suppress(*BROKEN):  # the log goes with its node
                    self._show(self.client.get_job_logs(self.job)[self.shown :])
                return info

    def patiently(self, ask: Callable[[], T]) -> T:
        """The cluster's answer, also where the line is cut for a while."""
        deadline, said = time.monotonic() + self.patience_s, False
        while True:
            try:
                return ask()
            except BROKEN as error:
                if "status code 4" in str(error):  # Ray's client has one class for all answers that are not 200
                    raise ShowcasesError(f"{self.job}: the cluster refused: {error}") from error
                if time.monotonic() > deadline:
                    raise ShowcasesError(
                        f"{self.job}: the cluster has not answered for {self.patience_s:.0f} s ({error}); the job may "
                        f"go on there. {how_to_go_on(self.client, self.job)}"
                    ) from error
                if not said:
                    print(f"  the line to the cluster is cut, trying again: {error}", file=sys.stderr, flush=True)
                    said = True
                time.sleep(PAUSE_SECONDS)

    async def _tail(self) -> None:
        """Print from the log's stream until it ends, breaks, or is quiet while the job has ended."""
        start = 0  # the stream begins with the log's first character, each time
        with contextlib.suppress(*BROKEN):
            async with contextlib.aclosing(_in_time(self.client.tail_job_logs(self.job))) as lines:
                async for text in lines:
                    if text is None:
                        return
                    self._show(text[max(0, self.shown - start) :])
                    start += len(text)

    def _show(self, text: str) -> None:
        print(text, end="", flush=True)
        self.shown += len(text)


async def _in_time(lines: AsyncIterator[str]) -> AsyncGenerator[str | None]:
    """The stream's texts; None where none has come for long."""
    while True:
        try:
            yield await asyncio.wait_for(anext(lines), QUIET_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield None


def exit_code(info: JobDetails) -> int:
    """As a shell has it: of the driver, 128 + N where signal N ended it, 1 where the driver had none."""
    if info.status == JobStatus.SUCCEEDED:
        return 0
    if info.status == JobStatus.STOPPED:
        return 128 + signal.SIGTERM
    code = info.driver_exit_code
    if not code:
        return 1
    return code if code > 0 else 128 - code


def worth_another_try(info: JobDetails) -> bool:
    """Whether something was lost, a node, the driver, or what a step worked with; wrong input stays wrong.

    A step ends with 1 for what its caller can mend, with 2 for a wrong command line, with one of RETRIED for
    what was lost or not up, and with codes of their own for a full disk and a denied access, which stay as they are.
    """
    if info.status != JobStatus.FAILED:
        return False
    if info.error_type in LOST_SUPERVISOR:
        return True
    code = info.driver_exit_code or 0
    return code in RETRIED or code < 0 or code > 128


def how_to_go_on(client: JobSubmissionClient, job: str) -> str:
    address = client.get_address()
    return (
        f"follow it: `python -m jobs.submit --address {address} --follow {job}`; "
        f"stop it: `ray job stop --address {address} {job}`"
    )
