"""A replica of each deployment killed while it works: no request fails, and another replica takes its place.

A killed gateway takes what it was answering with it: 503 with Retry-After.
"""

import os
import signal
import threading

import httpx
import pytest

from benchmarks.processes import parts
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def processes(part: str) -> set[int]:
    """Ids of its replicas, as far as this test session started them."""
    return {pid for pid, name in parts(os.getpid()).items() if name == part}


@pytest.mark.parametrize("deployment", ["selector", "generator", "gateway"])
def test_requests_outlive_a_killed_replica(service: str, deployment: str) -> None:
    with httpx.Client(base_url=service, timeout=90) as client:
        user, place = (client.get(f"/v1/{kind}").json()["items"][0] for kind in ("users", "businesses"))
    wish = {"user_id": user["user_id"], "business_id": place["business_id"], "k": 2}
    answers: list[int | str] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=service, timeout=90) as client:
            while not ended.is_set():
                try:
                    answer = client.post("/v1/showcases", json=wish)
                    refused = answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
                    answers.append(answer.json()["code"] if refused else answer.status_code)
                except httpx.HTTPError:  # nobody answered
                    answers.append(0)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for one in clients:
        one.start()
    before = processes(deployment)
    wait_until(lambda: len(answers) >= 4)  # all four are asking
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    answered = len(answers)
    try:
        wait_until(lambda: len(answers) >= answered + 20 and processes(deployment) - before, 90)
    finally:
        ended.set()
        for one in clients:
            one.join()
    assert before and set(answers) <= ({200, "replica_lost"} if deployment == "gateway" else {200})
