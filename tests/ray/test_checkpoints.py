"""Checkpoints of Ray Train: a slow store, one that can't be read, and starting over."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.runner.cluster import ClusterConfig
from jobs.runner.config import PipelineConfig
from jobs.runner.step import StepContext
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig
from jobs.training.ray_train import train
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace
from tests.faulty_proxy import faulty_proxy
from tests.training_faults import ToyConfig, checkpoints, toy_job, work
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


class Toy:
    """The training of tests/training_faults.py in a workspace, from this process."""

    def __init__(self, root: str, folder: Path, workers: int = 1, collective_timeout_s: int = 120) -> None:
        self.root, self.log = root, folder / "epochs"
        self.config = PipelineConfig(
            root=root,
            cluster=ClusterConfig(workers=workers, collective_timeout_s=collective_timeout_s),
            tracking=TrackingConfig(uri=f"sqlite:///{folder / 'mlflow.db'}"),
        )
        self.toy = ToyConfig(workers, epochs=3, steps_between=0, log=str(self.log))

    def train(self, force: bool = False, **arguments: Any) -> list[float]:
        """Run it; the epochs whose reports came."""
        self.log.write_text("")
        Path(f"{self.log}.stop").unlink(missing_ok=True)
        config = replace(self.config, force=force)
        with tracking.step_run("toy", config, {}, None) as tracker:
            context = StepContext(Workspace(self.root), config, tracker, {}, {})
            train(context, toy_job(context.workspace, replace(self.toy, **arguments)), work)
        return [float(line) for line in self.log.read_text().split()]


@contextmanager
def stopped() -> Iterator[None]:
    with pytest.raises(ShowcasesError, match="stopped on purpose.*with --force true to start over"):
        yield


def test_a_store_slower_than_the_collective_timeout_costs_time_only(
    ray_cluster: str, s3_server: Any, tmp_path: Path
) -> None:
    with faulty_proxy(s3_server.endpoint) as proxy:
        proxy.stall_seconds = 9.0
        proxy.spoil({"PUT stall": 1.0}, target="checkpoint_[^/]*/trainer.pt")
        toy = Toy(proxy.root(s3_server.create_bucket("slow"), "toy"), tmp_path, workers=2, collective_timeout_s=4)
        assert toy.train(epochs=2) == [1.0, 2.0]  # no try died
        assert proxy.injected["stall"] == 2


def test_what_cannot_be_read_is_stepped_over_and_force_starts_over(
    ray_cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = Toy(str(tmp_path / "workspace"), tmp_path)
    with stopped():
        toy.train(stop_after=2.0)
    _, last = checkpoints(toy.root)
    spoil(last)
    with stopped():
        toy.train(stop_after=2.0)
    assert toy.log.read_text().split()[0] == "2.0"  # of the epoch after the readable one
    warning = f"WARNING: checkpoint {last.name} can't be read: "
    printed: list[str] = []

    def is_printed() -> bool:  # Ray passes on what workers print a moment later
        printed.extend(capfd.readouterr())
        return warning in "".join(printed)

    wait_until(is_printed)

    for each in checkpoints(toy.root):
        spoil(each)
    with pytest.raises(ShowcasesError, match="No other is left in .*_runs/toy-.*start over with --force true"):
        toy.train()
    assert toy.train(force=True) == [1.0, 2.0, 3.0]
    assert not list((tmp_path / "workspace" / "_runs").iterdir())


def spoil(checkpoint: Path) -> None:
    """Leave half of it, as an upload that was cut off does."""
    file = checkpoint / "trainer.pt"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
