"""Follows a submitted job across connection failures: its log without gaps or repeats, and its final status."""

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

REQUEST_SECONDS = 30  # per request; Ray's client has no timeout
QUIET_SECONDS = 30  # without log output, until the job's status is polled
PAUSE_SECONDS = 2.0  # between reconnection attempts
BROKEN = (OSError, RuntimeError, aiohttp.ClientError, requests.RequestException)
# The job's supervisor process could not be scheduled, or died with its node.
LOST_SUPERVISOR = {
    JobErrorType.JOB_SUPERVISOR_ACTOR_DIED,
    JobErrorType.JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE,
    JobErrorType.JOB_SUPERVISOR_ACTOR_START_TIMEOUT,
    JobErrorType.JOB_SUPERVISOR_ACTOR_START_FAILURE,
    JobErrorType.JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE,
}
T = TypeVar("T")


class PatientClient(JobSubmissionClient):
    """Ray's client with a timeout per request, to detect broken connections."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(method, endpoint, timeout=REQUEST_SECONDS, **options)


class Follower:
    """Follows one job.

    Args:
        patience_s: how long to keep reconnecting.
    """

    def __init__(self, client: JobSubmissionClient, job: str, patience_s: float) -> None:
        self.client, self.job, self.patience_s = client, job, patience_s
        self.shown = 0  # characters of the log printed so far

    def to_the_end(self) -> JobDetails:
        """Print the log as it grows; returns the job's final status.

        Raises:
            ShowcasesError: the job doesn't exist, or the cluster was unreachable for too long.
        """
        while True:
            asyncio.run(self._tail())
            info = self.patiently(lambda: self.client.get_job_info(self.job))
            if info.status.is_terminal():
                with contextlib.suppress(*BROKEN):  # the log may be lost with its node
                    self._show(self.client.get_job_logs(self.job)[self.shown :])
                return info

    def patiently(self, request: Callable[[], T]) -> T:
        """Call with retries while the connection is broken."""
        deadline, warned = time.monotonic() + self.patience_s, False
        while True:
            try:
                return request()
            except BROKEN as error:
                if "status code 4" in str(error):  # Ray's client raises RuntimeError for any status but 200
                    raise ShowcasesError(f"{self.job}: the cluster rejected the request: {error}") from error
                if time.monotonic() > deadline:
                    raise ShowcasesError(
                        f"{self.job}: no response from the cluster for {self.patience_s:.0f} s ({error}); the job may "
                        f"still be running. {follow_hint(self.client, self.job)}"
                    ) from error
                if not warned:
                    print(f"  connection to the cluster lost, reconnecting: {error}", file=sys.stderr, flush=True)
                    warned = True
                time.sleep(PAUSE_SECONDS)

    async def _tail(self) -> None:
        """Print the log stream until it ends, breaks, or is silent."""
        start = 0  # each stream starts at the beginning of the log
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
    """The stream's texts; None after QUIET_SECONDS without one."""
    while True:
        try:
            yield await asyncio.wait_for(anext(lines), QUIET_SECONDS)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield None


def exit_code(info: JobDetails) -> int:
    """Exit code as in shells: the driver's, 128 + N for signal N, 1 if unknown."""
    if info.status == JobStatus.SUCCEEDED:
        return 0
    if info.status == JobStatus.STOPPED:
        return 128 + signal.SIGTERM
    code = info.driver_exit_code
    if not code:
        return 1
    return code if code > 0 else 128 - code


def is_retryable(info: JobDetails) -> bool:
    """Whether the job failed because a node or process was lost.

    Steps exit with 1 for errors the user must fix, 2 for a wrong command line, other codes for a full disk and denied
    access, and one of RETRIED for lost or unavailable resources.
    """
    if info.status != JobStatus.FAILED:
        return False
    if info.error_type in LOST_SUPERVISOR:
        return True
    code = info.driver_exit_code or 0
    return code in RETRIED or code < 0 or code > 128


def follow_hint(client: JobSubmissionClient, job: str) -> str:
    address = client.get_address()
    return (
        f"follow it: `python -m jobs.submit --address {address} --follow {job}`; "
        f"stop it: `ray job stop --address {address} {job}`"
    )
