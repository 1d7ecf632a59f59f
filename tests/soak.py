"""Two pipelines on one workspace at once, one of them killed: what became of it, round by round."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from jobs.pipeline import STEPS, run_pipeline
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.exits import exit_on_error
from showcases.gest.config import IngestConfig
from showcases.gest.reading.official import read_raw
from showcases.storage import builds
from showcases.storage.artifacts import FLOW, Workspace
from showcases.storage.shards import count_rows
from tests.quick import quick

CORPUS = ("image_review_all.json", "photos", "labels.json")
BOTH_STARTED_SECONDS = 180  # for one of two to be refused
KILL_SECONDS = (3, 50)  # after that, until the other one is killed


@dataclass(frozen=True)
class Round:
    """One round, as a row of the report's table."""

    number: int
    seeds: tuple[int, int]
    refused: str  # how the pipeline that came second ended
    killed_after: float  # seconds after the other was refused
    finished: int  # artifacts that are whole after the kill
    unfinished: int  # builds that a later run may resume

    def __str__(self) -> str:
        return (
            f"| {self.number} | {self.seeds[0]}, {self.seeds[1]} | {self.refused} | {self.killed_after:.1f} | "
            f"{self.finished} | {self.unfinished} |"
        )


def play(workspace: Workspace, corpus: Path, rounds: int, logs: Path, seed: int = 0) -> list[Round]:
    """Play rounds; after each one, every finished artifact is checked.

    Raises:
        AssertionError: an artifact isn't whole, or holds rows that its manifest's config doesn't make.
    """
    draw = random.Random(seed)
    played = []
    for number in range(1, rounds + 1):
        seeds = (draw.randrange(2), draw.randrange(2))
        pair = [_start(workspace.root, corpus, each, logs / f"{number}-{i}.log") for i, each in enumerate(seeds)]
        kill_after = draw.uniform(*KILL_SECONDS)
        refused = _refused(pair)
        _kill(pair, time.monotonic() + kill_after)
        check(workspace, corpus)
        finished = sum(workspace.manifest(artifact.name) is not None for artifact in FLOW)
        left = sum(len(builds.unfinished_builds(workspace, artifact.name)) for artifact in FLOW)
        played.append(Round(number, seeds, refused, kill_after, finished, left))
        print(played[-1], flush=True)
    return played


@dataclass
class Pipeline:
    """A driver in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    output: TextIO


def _start(root: str, corpus: Path, seed: int, log: Path) -> Pipeline:
    output = log.open("w")
    command = [sys.executable, "-m", "tests.soak", root, str(corpus), str(seed)]
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    return Pipeline(process, log, output)


def _refused(pair: list[Pipeline]) -> str:
    """How the one that came second ended: it must be a clear refusal, or nothing was left to do."""
    deadline = time.monotonic() + BOTH_STARTED_SECONDS
    while all(each.process.poll() is None for each in pair):
        assert time.monotonic() < deadline, f"two pipelines write one workspace: {[each.log for each in pair]}"
        time.sleep(0.1)
    [ended, *_] = [each for each in pair if each.process.poll() is not None]
    text = ended.log.read_text()
    assert ended.process.returncode in (0, 1), text
    if ended.process.returncode == 0:
        return "had nothing left to do"
    assert "error: " in text and ("another run" in text) and "Traceback" not in text, text
    return "refused"


def _kill(pair: list[Pipeline], at: float) -> None:
    """SIGKILL to what still runs at that time; its Ray dies with it."""
    for each in pair:
        while each.process.poll() is None and time.monotonic() < at:
            time.sleep(0.1)
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGKILL)
        each.process.wait()
        each.output.close()


def check(workspace: Workspace, corpus: Path) -> None:
    """Every finished artifact is whole, its rows are as many as counted, and reviews are those of their manifest."""
    for artifact in FLOW:
        builds.restore(workspace, artifact.name)
        manifest = workspace.manifest(artifact.name)
        if manifest is None:
            continue
        assert builds.damage(workspace, manifest) == "", manifest
        if "rows" in manifest.stored:
            assert sum(count_rows(workspace, workspace.shards(artifact.name))) == manifest.stored["rows"]
        if artifact.name == "reviews":
            expected = read_raw(corpus / CORPUS[0], IngestConfig(), seed=manifest.config["seed"]).reviews
            assert workspace.read_table("reviews").equals(expected)


def config_of(root: str, corpus: str, seed: int) -> PipelineConfig:
    """A pipeline of seconds a step."""
    paths = [str(Path(corpus) / name) for name in CORPUS]
    return replace(quick(PipelineConfig(root=root, corpus=CorpusConfig(*paths))), seed=seed)


if __name__ == "__main__":
    with exit_on_error():
        run_pipeline(config_of(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    print(f"all {len(STEPS)} steps done")
