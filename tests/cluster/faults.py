"""Faults at a certain point of a job, and what came of them, step by step."""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from jobs.pipeline import STEPS
from showcases.storage.artifacts import Workspace
from tests.cluster.hosts import Host
from tests.cluster.nodes import Job, Nodes

BEGUN = re.compile(r"^(?:\(\d+/\d+\) )?\[(\w+)\] .* -> ", re.MULTILINE)
DONE = re.compile(r"^\[(\w+)\] done in ([\d.]+) s", re.MULTILINE)
IN_THE_DRIVER = ("annotate", "build_gest", "publish")  # steps that give the nodes no work
WAITING = tuple(
    f"ray::{name}"
    for name in ("IDLE", "DashboardAgent", "RuntimeEnvAgent", "_StatsActor", "PreemptionWatcher", "Holders")
)
TRAINING = ("ray::RayTrainWorker", "ray::execute")
GROUP_STARTED = "Attempting to start training worker group"  # said by Ray Train
IDS = {"reviews": "review_id", "photos": "photo_id", "images": "photo_id", "gest_s1": "review_id"}


@dataclass(frozen=True)
class Outcome:
    """What a fault in one step led to."""

    step: str
    fault: str
    seconds: float
    calm_seconds: float
    retries: Counter[str]
    equal: bool
    code: int

    def row(self) -> str:
        again = ", ".join(f"{count} {name}" for name, count in self.retries.items() if count) or "none"
        cells = (
            self.step, self.fault, f"{self.seconds:.1f}", f"{self.calm_seconds:.1f}", again,
            "yes" if self.equal else "**no**", str(self.code),
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


def as_table(outcomes: list[Outcome]) -> str:
    """In Markdown."""
    head = "| step | fault | s | s undisturbed | done again | rows as undisturbed | exit code |"
    lines = [head, "| --- | --- | ---: | ---: | --- | --- | ---: |", *(each.row() for each in outcomes)]
    return "\n".join(lines) + "\n"


def busy(nodes: Nodes) -> Host | None:
    """The worker with most tasks and actors on it."""
    work = {host.address: working(host) for host in nodes.workers if host.alive()}
    most = max(nodes.workers, key=lambda host: len(work.get(host.address, ())))
    return most if work.get(most.address) else None


def working(host: Host) -> list[str]:
    """Titles of the tasks and actors there that have something to do, e.g. ray::Map(FetchUnit.__call__)."""
    return [title for title in host.titles() if title.startswith("ray::") and not title.startswith(WAITING)]


def strike(job: Job, step: str, fault: Callable[[Host], None], said: str = "") -> str:
    """Let the fault come upon the busiest worker once it works at this step and `said` stands in the job's log.

    A step that trains is at work once its training workers are there.

    Returns:
        What that worker was doing.
    """
    start = len(job.log())
    while job.process.poll() is None and f"[{step}] done" not in job.log():
        host = busy(job.nodes)
        if step in IN_THE_DRIVER:
            host = host or job.nodes.workers[0]
        doing = working(host) if host else []
        begun = not step.startswith("train_") or any(title.startswith(TRAINING) for title in doing)
        if host and begun and re.search(said, job.log()[start:]):
            fault(host)
            return ", ".join(sorted({title.split("(")[0].removeprefix("ray::") for title in doing})) or "idle"
        time.sleep(0.1)
    return "missed: the step was over"


def done_again(nodes: Nodes, log: str) -> Counter[str]:
    """Tasks tried again, actors and trainings started again, so far."""
    tasks = nodes.ask("/api/v0/tasks?limit=10000")["data"]["result"]["result"]
    actors = nodes.ask("/api/v0/actors?limit=1000&detail=true")["data"]["result"]["result"]
    return Counter(
        tasks=sum(task["attempt_number"] > 0 for task in tasks),
        actors=sum(int(actor.get("num_restarts") or 0) for actor in actors),
        trainings=log.count(GROUP_STARTED),
    )


def watch(job: Job, at: Callable[[str], object], ended: Callable[[str, float], object] = lambda *_: None) -> int:
    """Follow the job to its end; where a node has gone, a fresh one joins, as a cluster's autoscaler would have it.

    Args:
        at: called with each step as it begins.
        ended: with each step and its seconds, after its end.

    Returns:
        The exit code.
    """
    begun: set[str] = set()
    over: set[str] = set()
    running = True
    while running:
        running = job.process.poll() is None
        log = job.log()
        for step, seconds in DONE.findall(log):
            if step not in over:
                over.add(step)
                ended(step, float(seconds))
        for step in BEGUN.findall(log):
            if step not in begun:
                begun.add(step)
                at(step)
        job.nodes.replace_lost()
        time.sleep(0.1)
    return job.process.returncode


def facts(root: str) -> dict[str, dict[str, object]]:
    """By step and artifact: rows and failures as the manifest says, and the ids that are there."""
    workspace, found = Workspace(root), {}
    for step in STEPS:
        found[step.name] = {name: _facts(workspace, name) for name in step.writes}
    return found


def _facts(workspace: Workspace, name: str) -> object:
    manifest = workspace.manifest(name)
    if manifest is None:
        return None
    ids = sorted(workspace.read_table(name)[IDS[name]].to_pylist()) if name in IDS else []
    return manifest.rows, manifest.failures, ids
