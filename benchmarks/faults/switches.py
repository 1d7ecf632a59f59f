"""Ten champion switches under load at half capacity: no request may fail, and each names who was champion.

    python -m benchmarks.faults.switches --root workspace-copy [--times 10]

WRITES to the registry of --root: registers the champion pair as two bundles, moves the alias between them, and puts the
alias back where it was in the end.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from benchmarks.faults.open_loop import Answer, open_load, statuses
from benchmarks.harness import Verdicts, parse, print_line
from benchmarks.service import load, started, visits
from jobs.promote import NAME, point, promote
from jobs.runner.config import PipelineConfig
from serve_apps.args import ShowcaseArgs

CLIENTS = 32
FOLLOW_S = 120  # at most, until the service follows the registry


@dataclass(frozen=True)
class Reign:
    """Of one champion; moments in s of time.monotonic.

    Attributes:
        moved: when the alias was given to it.
        seen: when the service first said so.
        until: when the service first named the next one.
    """

    version: str
    moved: float
    seen: float
    until: float

    def covers(self, answer: Answer) -> bool:
        """Whether the answer may name it: named before it was answered, not yet replaced when it was sent."""
        return answer.version == self.version and self.moved <= answer.done and answer.sent <= self.until


def wait_for(url: str, version: str) -> float:
    """The moment at which the service first says that this bundle is champion."""
    ends = time.monotonic() + FOLLOW_S
    while time.monotonic() < ends:
        ready = httpx.get(f"{url}/readyz", timeout=30).json()
        if ready.get("models", {}).get("bundle", {}).get("version") == version:
            return time.monotonic()
        time.sleep(0.05)
    raise SystemExit(f"error: the service did not follow the registry to bundle {version} within {FOLLOW_S} s")


def switch(url: str, config: PipelineConfig, versions: Sequence[str], times: int, pause_s: float) -> list[Reign]:
    """Move the alias to and fro; versions[0] is champion at first."""
    marks = [(versions[0], 0.0, wait_for(url, versions[0]))]
    for number in range(1, times + 1):
        time.sleep(pause_s)
        version, moved = versions[number % 2], time.monotonic()
        point(config, version)
        marks.append((version, moved, wait_for(url, version)))
    time.sleep(pause_s)
    ends = [*[seen for _, _, seen in marks[1:]], float("inf")]
    return [Reign(*mark, until) for mark, until in zip(marks, ends, strict=True)]


def print_table(reigns: Sequence[Reign], answers: Sequence[Answer]) -> None:
    print("| switch | to bundle | followed after | answers by it | failed meanwhile |")
    print("| --- | --- | --- | --- | --- |")
    for number, reign in enumerate(reigns):
        by_it = [answer for answer in answers if reign.covers(answer)]
        meanwhile = [answer for answer in answers if reign.moved <= answer.sent < reign.until and answer.status != 200]
        followed = f"{reign.seen - reign.moved:.1f} s" if number else "-"
        print(f"| {number or 'before'} | {reign.version} | {followed} | {len(by_it)} | {len(meanwhile)} |")


def run(options: argparse.Namespace, config: PipelineConfig, versions: list[str]) -> tuple[list[Reign], list[Answer]]:
    with started("serve_apps.run", options.root) as (url, _):
        workload = visits(url, options.seed)
        capacity = load(url, workload, CLIENTS, options.measure, warm_up=3).rate
        span = options.times * (options.pause + ShowcaseArgs().rollout.reload_s + 5)
        print(f"capacity {capacity:.1f} showcases/s; now half of it, and {options.times} switches", flush=True)
        with open_load(url, capacity / 2, span, options.seed) as answers:
            reigns = switch(url, config, versions, options.times, options.pause)
        return reigns, answers


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        root=((str,), "of `make demo`, or a copy: its registry is written to"),
        times=(10, "switches"),
        pause=(2.0, "seconds between the end of one and the next"),
        measure=(20.0, "seconds in which capacity is measured"),
        seed=(0, None),
    )
    config, uri = PipelineConfig(root=options.root), ShowcaseArgs(root=options.root).registry_uri
    client = MlflowClient(uri, uri)
    before = _champion(client)
    second, first = (str(promote(config)) for _ in range(2))  # the last one made is champion
    try:
        reigns, answers = run(options, config, [first, second])
    finally:
        _put_back(client, before)
    failed = [answer for answer in answers if answer.status != 200]
    strangers = [answer for answer in answers if answer.status == 200 and not any(one.covers(answer) for one in reigns)]
    print_table(reigns, answers)
    for answer in failed[:10]:
        print(f"  {answer.status or 'broken'} after {answer.took:.2f} s: {answer.said[:160]}")
    verdicts = Verdicts()
    verdicts.demand(not failed, f"{len(failed)} of {len(answers)} requests failed ({statuses(answers)})")
    verdicts.demand(not strangers, f"{len(strangers)} answers name a bundle that was not champion at the time")
    slowest = max((1000 * answer.took for answer in answers), default=float("nan"))
    print_line("switches", None, len(failed), None, "failed requests", None, switches=options.times, slowest_ms=slowest)
    verdicts.end()


def _champion(client: MlflowClient) -> str | None:
    try:
        return str(client.get_model_version_by_alias(NAME, "champion").version)
    except MlflowException:  # no bundle is champion: the two models' own aliases count
        return None


def _put_back(client: MlflowClient, version: str | None) -> None:
    if version is None:
        client.delete_registered_model_alias(NAME, "champion")
    else:
        client.set_registered_model_alias(NAME, "champion", version)


if __name__ == "__main__":
    main()
