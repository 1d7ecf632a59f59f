"""Champion switches on the running service, under requests: none fails, and each names what answered it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import torch
from mlflow import MlflowClient

from jobs.promote import NAME, promote
from jobs.runner.config import PipelineConfig
from jobs.tracking.config import TrackingConfig
from serve_apps.args import ShowcaseArgs
from serve_apps.rollout.canary import takes_candidate
from showcases.storage.artifacts import Workspace
from tests.serve.tiny_service import SAID, register_pair
from tests.waiting import wait_until

pytestmark = pytest.mark.ray
OTHER = "The rice was fine. Nobody came!"  # what the second generator says of everything
ROLES = ("selector", "generator")


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent and answered (time.monotonic), and with what."""

    sent: float
    done: float
    status: int
    body: dict

    @property
    def version(self) -> str:
        return self.body["models"]["bundle"]["version"]


@dataclass(frozen=True)
class Registry:
    """Two bundles of different models, and the alias between them."""

    client: MlflowClient
    versions: tuple[str, str]
    http: httpx.Client

    def name(self, alias: str, version: str) -> None:
        self.client.set_registered_model_alias(NAME, alias, version)

    def wait(self, holds: Callable[[dict], bool]) -> None:
        deadline = time.monotonic() + 120
        while not holds(self.http.get("/readyz").json()):
            assert time.monotonic() < deadline, "the service did not follow the registry"
            time.sleep(0.05)

    def wait_for(self, version: str | None) -> None:
        self.wait(lambda ready: ready["models"].get("bundle", {}).get("version") == version)


@pytest.fixture(scope="module")
def registry(service: str, tiny_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Leaves the shared service as it was: without a bundle, on the two models' own champions."""
    uri = ShowcaseArgs(root=tiny_workspace.root).registry_uri
    elsewhere = PipelineConfig(root=str(tmp_path_factory.mktemp("second")), tracking=TrackingConfig(uri))
    texts = tiny_workspace.read_table("reviews", ["text"])["text"].to_pylist()
    client = MlflowClient(uri, uri)
    space = client.get_model_version("showcases-selector", "1").tags["embedding_space"]
    torch.manual_seed(1)  # not the first pair's weights again
    register_pair(elsewhere, space, texts, said=OTHER)
    config = PipelineConfig(root=tiny_workspace.root)
    newest = {role: client.get_registered_model(f"showcases-{role}").aliases["candidate"] for role in ROLES}
    first = promote(config, versions=dict.fromkeys(ROLES, "1"))
    second = promote(config, "spare", {role: str(version) for role, version in newest.items()})
    with httpx.Client(base_url=service, timeout=120) as http:
        made = Registry(client, (str(first), str(second)), http)
        made.wait_for(str(first))
        yield made
        client.delete_registered_model(NAME)
        made.wait_for(None)


@pytest.fixture(scope="module")
def wish(service: str, tiny_workspace: Workspace) -> dict:
    [place] = httpx.get(f"{service}/v1/businesses?limit=1").json()["items"]
    [user] = httpx.get(f"{service}/v1/users?limit=1").json()["items"]
    return {"user_id": user["user_id"], "business_id": place["business_id"], "k": 3}


def ask(http: httpx.Client, wish: dict) -> Answer:
    sent = time.monotonic()
    answer = http.post("/v1/showcases", json=wish)
    return Answer(sent, time.monotonic(), answer.status_code, answer.json())


@contextlib.contextmanager
def load(service: str, wish: dict, workers: int, rate: float | None = None) -> Iterator[list[Answer]]:
    """Requests come inside the block, all answered at its end; the answers are in the list then.

    Args:
        rate: requests started a second, whatever the answers take; without one each worker asks again at once.
    """
    ended, answers = threading.Event(), []
    limits = httpx.Limits(max_connections=200)
    with (
        httpx.Client(base_url=service, timeout=120, limits=limits) as http,
        ThreadPoolExecutor(64 if rate else workers) as pool,
    ):

        def again() -> None:
            while not ended.is_set():
                answers.append(ask(http, wish))

        def clock(rate: float) -> None:
            started, sent = time.monotonic(), []
            while not ended.wait(max(0.0, started + len(sent) / rate - time.monotonic())):
                sent.append(pool.submit(lambda: answers.append(ask(http, wish))))
            [each.result() for each in sent]

        running = [pool.submit(clock, rate)] if rate else [pool.submit(again) for _ in range(workers)]
        try:
            yield answers
        finally:
            ended.set()
        [each.result() for each in running]


def switch(registry: Registry, answers: list[Answer], times: int) -> tuple[list[tuple[str, float]], list[float]]:
    """Move the alias to and fro; (version, when moved) and when the service first said so."""
    moved, seen = [(registry.versions[0], 0.0)], [0.0]
    for number in range(1, times + 1):
        version = registry.versions[number % 2]
        moved.append((version, time.monotonic()))
        registry.name("champion", version)
        registry.wait_for(version)
        seen.append(time.monotonic())
        wait_until(partial(came, answers, version, len(answers)))
    return moved, seen


def came(answers: list[Answer], version: str, since: int) -> bool:
    """Whether an answer of this version is among those after the first `since`."""
    return any(answer.status == 200 and answer.version == version for answer in answers[since:])


def was_champion(answer: Answer, moved: list[tuple[str, float]], seen: list[float]) -> bool:
    """Whether its version was named before it was answered, and not yet replaced in the service when it was sent."""
    until = [*seen[1:], float("inf")]
    spans = [(since, end) for (version, since), end in zip(moved, until, strict=True) if version == answer.version]
    return any(since <= answer.done and answer.sent <= end for since, end in spans)


def switches_under_load(registry: Registry, service: str, wish: dict, times: int, rate: float | None) -> list[Answer]:
    registry.name("champion", registry.versions[0])
    registry.wait_for(registry.versions[0])
    with load(service, wish, workers=3, rate=rate) as answers:
        moved, seen = switch(registry, answers, times)
    assert [answer for answer in answers if answer.status != 200] == []
    assert [answer for answer in answers if not was_champion(answer, moved, seen)] == []
    return answers


def content(answer: Answer) -> tuple[list[str], list[float], str]:
    photos, text = answer.body["photos"], " ".join(row["text"] for row in answer.body["sentences"])
    return [photo["photo_id"] for photo in photos], [photo["relevance"] for photo in photos], text


def test_switches_fail_no_request_and_answers_are_of_the_pair_they_name(
    registry: Registry, service: str, wish: dict
) -> None:
    alone = {}
    for version in registry.versions:
        registry.name("champion", version)
        registry.wait_for(version)
        alone[version] = ask(registry.http, wish)
    first, second = (content(alone[version]) for version in registry.versions)
    assert (first[2], second[2]) == (SAID, OTHER) and first[1] != pytest.approx(second[1], rel=1e-3)
    answers = switches_under_load(registry, service, wish, 3, None)
    assert {answer.version for answer in answers} == set(registry.versions)
    for answer in answers:
        photos, relevance, text = content(answer)
        expected = content(alone[answer.version])
        assert photos == expected[0] and relevance == pytest.approx(expected[1], rel=1e-4) and text == expected[2]
        assert answer.body["models"]["generator"] == alone[answer.version].body["models"]["generator"]


def test_a_candidate_answers_its_users_and_no_others(registry: Registry, wish: dict) -> None:
    first, second = registry.versions
    registry.name("champion", first)
    registry.wait_for(first)
    registry.name("candidate", second)
    registry.wait(lambda ready: ready["candidate"] is not None)
    users = [row["user_id"] for row in registry.http.get("/v1/users?limit=12").json()["items"]]
    for user in users:
        named = ask(registry.http, wish | {"user_id": user}).body["models"]["bundle"]
        taken = takes_candidate(user, second, 0.5)
        assert (named["version"], named["alias"]) == ((second, "candidate") if taken else (first, "champion"))
    registry.client.delete_registered_model_alias(NAME, "candidate")
    registry.wait(lambda ready: ready["candidate"] is None)


def test_without_the_registry_it_goes_on_and_follows_again_after(
    registry: Registry, tiny_workspace: Workspace, service: str, wish: dict
) -> None:
    file = Path(tiny_workspace.root) / "mlflow.db"
    first, second = registry.versions
    registry.name("champion", first)
    registry.wait_for(first)
    away = file.rename(file.with_suffix(".away"))
    try:
        with load(service, wish, workers=1) as answers:
            time.sleep(3)  # it looks every second
        assert not file.exists()  # nor did it make an empty one
    finally:
        away.rename(file)
    assert answers and {(answer.status, answer.version) for answer in answers} == {(200, first)}
    registry.name("champion", second)
    registry.wait_for(second)


@pytest.mark.slow
def test_ten_switches_at_half_capacity(registry: Registry, service: str, wish: dict) -> None:
    with load(service, wish, workers=8) as full:
        time.sleep(10)
    capacity = len(full) / (max(each.done for each in full) - min(each.sent for each in full))
    answers = switches_under_load(registry, service, wish, 10, capacity / 2)
    span = max(each.done for each in answers) - min(each.sent for each in answers)
    waits = sorted(each.done - each.sent for each in answers)
    print(
        f"\nten switches in {span:.0f} s: {len(answers)} requests, 0 failed; {len(answers) / span:.1f} a second of "
        f"{capacity:.1f}; median {1000 * waits[len(waits) // 2]:.0f} ms, slowest {1000 * waits[-1]:.0f} ms"
    )
