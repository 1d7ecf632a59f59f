"""One process of each part of the service killed with SIGKILL, under load at half capacity: what it costs requests.

    python -m benchmarks.faults.kills --root workspace [--replicas 2] [--every 30] [--proxy]

A killed selector or generator should cost no request: the gateway calls another replica. A killed gateway takes the
requests with it that it was answering: they get 503 with Retry-After, which does not count as failed. Those of a killed
proxy are broken.
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.faults.open_loop import BROKEN, Answer, open_load, statuses
from benchmarks.harness import DEMO, Verdicts, parse, print_line
from benchmarks.processes import parts
from benchmarks.service import is_ready, load, started, visits

PARTS = ("selector", "generator", "gateway")
CLIENTS = 32
BACK_S = 120  # at most, until a killed process is replaced
REFUSED = (429, 503)


@dataclass(frozen=True)
class Kill:
    """One of them; moments in s of time.monotonic.

    Attributes:
        back: when as many processes as before ran and the service said that it is ready; none: not within BACK_S.
    """

    part: str
    at: float
    back: float | None

    @property
    def recovery(self) -> str:
        return "not back" if self.back is None else f"{self.back - self.at:.1f} s"


def kill_one(pid: int, part: str, url: str) -> Kill:
    """Kill the first process of a part, and wait until it is replaced."""
    before = {one for one, name in parts(pid).items() if name == part}
    if not before:
        raise SystemExit(f"error: no process of {part} was found")
    killed, at = min(before), time.monotonic()
    os.kill(killed, signal.SIGKILL)
    while time.monotonic() < at + BACK_S:
        now = {one for one, name in parts(pid).items() if name == part} - {killed}
        if len(now) >= len(before) and is_ready(url):
            return Kill(part, at, time.monotonic())
        time.sleep(0.1)
    return Kill(part, at, None)


def touched(kills: Sequence[Kill], answers: Sequence[Answer]) -> list[tuple[Kill, list[Answer]]]:
    """By kill: the requests that were under way at it, or sent between it and the next."""
    ends = [*[kill.at for kill in kills[1:]], float("inf")]
    return [
        (kill, [answer for answer in answers if answer.done >= kill.at and answer.sent < end])
        for kill, end in zip(kills, ends, strict=True)
    ]


def print_table(found: Sequence[tuple[Kill, list[Answer]]]) -> None:
    print("| killed | requests | failed | of them broken | refused (429, 503) | longest answer | back after |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kill, answers in found:
        failed, broken = failures(answers), sum(answer.status == BROKEN for answer in answers)
        refused = sum(answer.status in REFUSED for answer in answers)
        longest = max((answer.took for answer in answers), default=0.0)
        row = (kill.part, len(answers), len(failed), broken, refused, f"{longest:.2f} s", kill.recovery)
        print(f"| {' | '.join(map(str, row))} |")


def failures(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status != 200 and answer.status not in REFUSED]


def run(url: str, pid: int, options: argparse.Namespace) -> tuple[list[Kill], list[Answer], float]:
    """The kills, all answers, and the capacity in showcases/s."""
    workload = visits(url, options.seed)
    capacity = load(url, workload, CLIENTS, options.measure, warm_up=3).rate
    order = [*PARTS, *(("proxy",) if options.proxy else ())]
    print(f"capacity {capacity:.1f} showcases/s; now half of it while {', '.join(order)} are killed", flush=True)
    kills: list[Kill] = []
    with open_load(url, capacity / 2, options.every * (len(order) + 1), options.seed) as answers:
        time.sleep(options.every)
        for part in order:
            kills.append(kill_one(pid, part, url))
            print(f"{part} killed: {kills[-1].recovery}", flush=True)
            time.sleep(max(0.0, kills[-1].at + options.every - time.monotonic()))
    return kills, answers, capacity


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        root=("workspace", DEMO),
        replicas=(int, "of each deployment; by default as config.yaml has it"),
        every=(30.0, "seconds between two kills"),
        measure=(20.0, "seconds in which capacity is measured"),
        proxy=(False, "kill Serve's HTTP proxy too, at the end"),
        seed=(0, None),
    )
    module, more = "serve_apps.run", ()
    if options.replicas:
        module, more = "benchmarks.faults.replicated_service", ("--replicas", str(options.replicas))
    with started(module, options.root, *more) as (url, pid):
        kills, answers, capacity = run(url, pid, options)
    found, verdicts = touched(kills, answers), Verdicts()
    print_table(found)
    for answer in failures(answers)[:10]:
        print(f"  {answer.status or 'broken'} after {answer.took:.2f} s: {answer.said[:160]}")
    for kill, some in found:
        if kill.part in PARTS:
            verdicts.demand(
                not failures(some), f"{kill.part} killed: {len(failures(some))} of {len(some)} requests failed"
            )
    verdicts.demand(all(kill.back for kill in kills), "every killed process was replaced")
    by_part = {f"failed_{kill.part}": float(len(failures(some))) for kill, some in found}
    facts = {"answers": statuses(answers), "capacity": capacity, **by_part}
    print_line("kills", None, len(failures(answers)), None, "failed requests", None, **facts)
    verdicts.end()


if __name__ == "__main__":
    main()
