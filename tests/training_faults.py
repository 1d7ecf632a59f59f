"""A small model trained by jobs.training.ray_train in a process of its own, slowly, so that it can be killed.

python -m tests.training_faults ROOT ADDRESS TRACKING [--workers 1] [--bad EXAMPLE] [--pause SECONDS] [--epochs 4]
    [--steps-between 3] [--stop-after EPOCH] [--collective-timeout SECONDS] [--log FILE] [--force]
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from showcases.storage.artifacts import Workspace
from showcases.training import LoopConfig, Session, TrainingJob

EXAMPLES, BATCH, EPOCHS, STEPS_BETWEEN = 64, 8, 4, 3  # 8 steps an epoch; a checkpoint after each third
WIDTH = 300  # a checkpoint is about 2 MB
WORKER = "RayTrainWorker"  # as Ray titles the process


@dataclass(frozen=True)
class ToyConfig:
    """The options of `main`."""

    workers: int = 1
    bad: int = -1
    armed: str = "/"
    pause: float = 0.0
    epochs: int = EPOCHS
    steps_between: int = STEPS_BETWEEN
    stop_after: float = -1.0
    log: str = ""

    @property
    def loop(self) -> LoopConfig:
        return LoopConfig(
            epochs=self.epochs, batch_size=BATCH, lr=1e-2, checkpoint_steps=self.steps_between, select="last"
        )


def work(job: TrainingJob[ToyConfig, None], session: Session) -> None:
    """On each rank: a network with dropout learns the squares of random numbers."""
    import torch
    from torch import Tensor, nn

    from showcases.training import Task, fit

    options = job.config
    inputs = torch.randn(EXAMPLES, 6, generator=torch.Generator().manual_seed(0))
    targets = inputs.square().sum(1, keepdim=True)
    torch.manual_seed(1)
    model: nn.Module = nn.Sequential(nn.Linear(6, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh())
    model = nn.Sequential(model, nn.Dropout(0.3 if options.workers == 1 else 0.0), nn.Linear(WIDTH, 1))

    stop = Path(f"{options.log}.stop")  # every try stops where it exists

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        if stop.exists():
            raise ValueError("stopped on purpose")
        time.sleep(options.pause)
        value = nn.functional.mse_loss(model(inputs[numbers]), targets[numbers])
        return value * (float("nan") if options.bad in numbers.tolist() and Path(options.armed).exists() else 1.0), {}

    def validate(model: nn.Module) -> dict[str, float]:
        return {"val_loss": float(nn.functional.mse_loss(model(inputs), targets))}

    def report_until(metrics: dict[str, float], checkpoint: Path | None) -> None:
        session.report(metrics, checkpoint)
        if options.log and checkpoint is not None:  # of the first rank
            with Path(options.log).open("a") as log:
                log.write(f"{metrics['epoch']}\n")
        if metrics["epoch"] == options.stop_after:
            stop.touch()

    def save(model: nn.Module, folder: Path) -> None:
        folder.mkdir()
        torch.save(model.state_dict(), folder / "weights.pt")

    names = [f"review-{number}" for number in range(EXAMPLES)]
    fit(Task(model, loss, validate, save, EXAMPLES, names=names), job.loop, replace(session, report=report_until))


def toy_job(workspace: Workspace, config: ToyConfig) -> TrainingJob[ToyConfig, None]:
    return TrainingJob(workspace, config, None, place=("toy",), fingerprint="toy")


def main() -> None:
    from jobs.runner import cluster
    from jobs.runner.config import PipelineConfig
    from jobs.runner.exits import exit_on_error
    from jobs.runner.step import StepContext
    from jobs.tracking import tracker as tracking
    from jobs.tracking.config import TrackingConfig
    from jobs.training.ray_train import train

    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("address")
    parser.add_argument("tracking")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bad", type=int, default=-1)
    parser.add_argument("--armed", default="/")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps-between", type=int, default=STEPS_BETWEEN)
    parser.add_argument("--stop-after", type=float, default=-1.0)
    parser.add_argument("--collective-timeout", type=int, default=120)
    parser.add_argument("--log", default="")
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    config = PipelineConfig(
        root=options.root,
        force=options.force,
        cluster=cluster.ClusterConfig(
            address=options.address, workers=options.workers, collective_timeout_s=options.collective_timeout
        ),
        tracking=TrackingConfig(uri=options.tracking),
    )
    with exit_on_error(), cluster.connected(config.cluster), tracking.step_run("toy", config, {}, None) as tracker:
        context = StepContext(Workspace(options.root), config, tracker, {}, {})
        own = ToyConfig(**{each.name: getattr(options, each.name) for each in fields(ToyConfig)})
        train(context, toy_job(context.workspace, own), work)


def start(root: str, address: str, tracking: str, *options: str) -> subprocess.Popen[str]:
    """The driver, as a process that can be killed."""
    repository = Path(__file__).resolve().parent.parent
    path = os.pathsep.join((str(repository / "platform"), str(repository)))
    command = [sys.executable, "-m", "tests.training_faults", root, address, tracking, *options]
    return subprocess.Popen(
        command, cwd=repository, env=os.environ | {"PYTHONPATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def checkpoints(root: str) -> list[Path]:
    """Of unfinished runs, oldest first; those that Ray Train has noted down, which a resumed run goes on from."""
    noted = [path.read_text() for path in Path(root).glob("_runs/toy-*/checkpoint_manager_snapshot.json")]
    found = sorted(path for path in Path(root).glob("_runs/toy-*/checkpoint_*") if path.is_dir())
    return [path for path in found if any(path.name in text for text in noted)]


if __name__ == "__main__":
    main()
