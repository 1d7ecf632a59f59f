"""The whole pipeline on three hosts that share nothing but a network, in peace and while nodes and wires fail."""

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jobs.pipeline import STEPS
from jobs.runner.cluster import ClusterConfig
from jobs.tracking.config import TrackingConfig
from showcases.storage.artifacts import Workspace
from tests.cluster import servers
from tests.cluster.faults import Outcome, as_table, done_again, facts, strike, watch
from tests.cluster.hosts import LOSS, Host, network, why_no_loss, why_not
from tests.cluster.nodes import REPOSITORY, Job, Nodes, cluster, submit
from tests.docs.shell import commands_of, replaced

pytestmark = [pytest.mark.slow, pytest.mark.netns, pytest.mark.timeout(3600)]

TABLE = Path("nodes.md")  # in the working folder
CUT_SECONDS = 20
LOSS_SECONDS = 60


@dataclass
class Stage:
    """Where the pipeline runs, and what came of each fault.

    Attributes:
        readme: README's places and sizes, and what stands for them here.
    """

    nodes: Nodes
    start: Callable[[str], Job]
    root: Callable[[str], str]
    readme: dict[str, str]
    outcomes: list[Outcome] = field(default_factory=list)
    calm: dict[str, float] = field(default_factory=dict)
    facts: dict[str, dict[str, object]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def stage(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Hosts, servers and nodes, and the pipeline's run in peace; at the end the table is written."""
    if reason := why_not():
        pytest.skip(reason)
    logs = tmp_path_factory.mktemp("nodes")
    with network(logs) as made, contextlib.ExitStack() as ends:
        nodes = cluster(made, workers=2)
        store = ends.enter_context(servers.s3(made.address, logs))
        tracking = ends.enter_context(servers.mlflow(made.address, logs))
        nodes.wait()
        corpus = servers.put_corpus(tiny_corpus, nodes, store)

        def start(name: str) -> Job:
            config = replace(servers.options(), root=store.root(name), corpus=corpus, tracking=TrackingConfig(tracking))
            return submit(nodes, name, "pipeline", "--config", servers.write(config, logs / f"{name}.json"))

        sizes = replace(servers.options(), cluster=ClusterConfig(workers=2, cpus_per_worker=1, encoders=2))
        readme = {  # with a CPU left for the process of a sweep's trial
            "jobs/configs/mini.yaml": servers.write(sizes, logs / "sizes.json"),
            "s3://my-bucket/showcases": store.root("readme"),
            "s3://my-bucket/photos": str(corpus.photos),
            "/data/image_review_all.json": str(corpus.reviews),
            "http://mlflow.example:5000": tracking,
            "24": "2",
        }
        stage = Stage(nodes, start, store.root, readme)
        print("the cluster is up", flush=True)
        code = watch(job := start("calm"), lambda step: None, stage.calm.__setitem__)
        print(stage.calm, flush=True)
        assert code == 0, job.log()[-6000:]
        stage.facts = facts(store.root("calm"))
        yield stage
        table = as_table(stage.outcomes)
        TABLE.write_text(table)
        print(f"\n{table}")


def disturbed(stage: Stage, name: str, strikes: Callable[[Job, str], str | None]) -> None:
    """Run the pipeline with faults; whatever they were, it ends well and with the rows it has in peace.

    Args:
        strikes: called with each step as it begins; what the fault was, if there was one.
    """
    stage.nodes.wait()
    job, told, again, steps = stage.start(name), {}, {}, {}

    def at(step: str) -> None:
        before = done_again(stage.nodes, job.log())
        if fault := strikes(job, step):
            told[step], again[step] = fault, before
            print(f"[{step}] {fault}", flush=True)

    def ended(step: str, seconds: float) -> None:
        steps[step] = seconds
        print(f"[{step}] {seconds} s", flush=True)
        if step in again:
            again[step] = done_again(stage.nodes, job.log()) - again[step]
            again[step] -= Counter(trainings=step.startswith("train_"))  # the first is none

    code = watch(job, at, ended)
    found = facts(stage.root(name))
    for step, fault in told.items():
        same = found[step] == stage.facts[step]
        seconds = steps.get(step, float("nan"))
        stage.outcomes.append(Outcome(step, fault, seconds, stage.calm[step], again[step], same, code))
    print(as_table(stage.outcomes))
    assert code == 0, job.log()[-6000:]
    assert found == stage.facts
    assert not any("missed" in fault for fault in told.values()), told


def test_in_peace_every_step_is_done(stage: Stage) -> None:
    assert list(stage.calm) == [step.name for step in STEPS]
    assert all(all(found.values()) for found in stage.facts.values())


def test_the_four_commands_of_readme(stage: Stage) -> None:
    stage.nodes.wait()
    job, folder = "", REPOSITORY
    for command in commands_of(folder / "README.md", "jobs.submit"):
        places = {word: place for word, place in (stage.readme | {"JOB": job}).items() if word in command}
        done = subprocess.run(
            [sys.executable, *replaced(command, places)[1:]],
            cwd=folder, env=stage.nodes.outside(), capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        print(" ".join(command), "\n", done.stdout[-500:], flush=True)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
        job = re.findall(r"^job (\S+) at", done.stderr, re.MULTILINE)[-1] if "--follow" not in command else job
    found = facts(stage.root("readme"))
    assert all(all(told.values()) for told in found.values())
    for step in ("ingest", "fetch_images"):  # what follows has no labels here, so its rows are others
        assert found[step] == stage.facts[step]
    assert b"tau" in Workspace(stage.root("readme")).read_bytes("_sweeps", "generator", "default", "best.yaml")


def test_a_node_lost_in_each_step(stage: Stage) -> None:
    """Twice among the trainings after an epoch; else as soon as the node works, even while a training is set up."""

    def kill(job: Job, step: str) -> str:
        said = r"epoch 1\b" if step in ("train_selector", "train_generator") else ""
        return f"node killed ({strike(job, step, Host.kill, said)})"

    disturbed(stage, "killed", kill)


def test_a_wire_cut_for_a_while(stage: Stage) -> None:
    def cut(host: Host) -> None:
        host.cut()
        time.sleep(CUT_SECONDS)
        host.join()

    def at(job: Job, step: str) -> str | None:
        if step not in ("embed", "train_selector"):
            return None
        said = r"epoch 1\b" if step == "train_selector" else ""
        return f"wire cut for {CUT_SECONDS} s ({strike(job, step, cut, said)})"

    disturbed(stage, "cut", at)


def test_a_wire_that_loses_packets(stage: Stage) -> None:
    if reason := why_no_loss(stage.nodes.network):
        pytest.skip(reason)

    ends: list[threading.Timer] = []

    def lose(host: Host) -> None:
        host.lose_packets()
        ends.append(threading.Timer(LOSS_SECONDS, host.keep_packets))
        ends[-1].start()

    def at(job: Job, step: str) -> str | None:
        if step not in ("fetch_images", "train_generator"):
            return None
        return f"{LOSS:.0%} of packets lost each way for {LOSS_SECONDS} s ({strike(job, step, lose)})"

    try:
        disturbed(stage, "lossy", at)
    finally:
        for end in ends:
            end.join()
