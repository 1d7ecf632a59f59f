"""A checkpoint of the loop: the best weights as a loadable model folder, and the state for resuming."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from showcases.errors import CheckpointError

STATE_FILE = "trainer.pt"
STATE_VERSION = 2  # format version of that file; other versions can't be resumed


@dataclass
class Progress:
    """Progress of a run: a checkpoint's state besides weights, optimizer and schedule.

    Attributes:
        epoch, step: the next ones; with the seed they determine batches and dropout.
        totals: metrics summed over the epoch's steps so far.
        best: metrics and weights of the best validation.
        reached: best value so far of each metric that has a chance level.
    """

    epoch: int = 0
    step: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=lambda: {"metrics": None, "weights": None})
    reached: dict[str, float] = field(default_factory=dict)


def write_checkpoint(
    folder: Path,
    model: nn.Module,
    save: Callable[[nn.Module, Path], None],
    progress: Progress,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
) -> None:
    """Write the best weights as a loadable model folder, and the state for resuming."""
    last = {k: v.detach().clone() for k, v in model.state_dict().items()}
    if progress.best["weights"] is not None:
        model.load_state_dict(progress.best["weights"])
    save(model, folder / "model")
    model.load_state_dict(last)
    state = {
        "version": STATE_VERSION,
        **vars(progress),
        "model": last,
        "optimizer": optimizer.state_dict(),
        "scheduler": {"last_epoch": scheduler.last_epoch},
    }
    torch.save(state, folder / STATE_FILE)


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any) -> Progress:
    """Load a checkpoint into the model, the optimizer and the schedule; it may come from another device.

    Raises:
        CheckpointError: it can't be read, on any rank; raised on all, so that all fall back to the same one.
    """
    progress, failure = None, None
    try:
        progress = _load(folder, model, optimizer, scheduler)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # incomplete, missing, or of another model: torch has no specific error for these
        failure = error
    if dist.is_initialized() and dist.get_world_size() > 1:
        good = torch.tensor(float(failure is None), device=next(model.parameters()).device)
        dist.all_reduce(good, dist.ReduceOp.MIN)
        if not good and failure is None:
            failure = CheckpointError("another worker can't read it")
    if failure is not None or progress is None:
        raise CheckpointError(f"checkpoint {folder.name} can't be read: {_first_line(failure)}") from failure
    return progress


def _load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any) -> Progress:
    # Load to host memory: its GPU may be missing here, or belong to another rank.
    state = torch.load(folder / STATE_FILE, weights_only=True, map_location="cpu")
    if state.get("version") != STATE_VERSION:
        raise CheckpointError(f"its form is version {state.get('version', 1)}, this release reads {STATE_VERSION}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.last_epoch = state["scheduler"]["last_epoch"]
    return Progress(**{each.name: state[each.name] for each in fields(Progress)})


def _first_line(error: Exception | None) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
