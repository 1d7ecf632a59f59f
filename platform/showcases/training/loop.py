"""One loop for all models, on one process or many; independent of the launcher."""

import contextlib
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from showcases.bfloat16 import has_fast_bfloat16
from showcases.errors import ShowcasesError
from showcases.training.batches import Batches, Epochs, Part, Stream, StreamedBatches, names_of, part_of
from showcases.training.chance import Chance, chance_figures, update_reached
from showcases.training.checkpoints import Progress, restore, write_checkpoint
from showcases.training.config import LoopConfig
from showcases.training.job import Session


class LossError(ShowcasesError):
    """The loss is not finite.

    Attributes:
        loss: of this rank; finite if only another rank's is not.
        epoch, step: from 0.
        examples: of the batch on this rank: ids, or indices without ids.
    """

    def __init__(self, loss: float, epoch: int, step: int, examples: Sequence[int | str]) -> None:
        super().__init__(
            f"loss is {loss} at epoch {epoch + 1}, step {step + 1} (examples {list(examples[:8])}…): lower lr, or look "
            "at those examples; the last checkpoint remains"
        )
        self.loss, self.epoch, self.step, self.examples = loss, epoch, step, list(examples)


Loss = Callable[[nn.Module, Part], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Task:
    """The model-specific parts of a training.

    Attributes:
        model: unwrapped, on its device.
        loss: (model, example indices, or rows of the stream) -> (mean loss over them, figures to log).
        validate: metrics of the unwrapped model on the validation split; equal on all ranks.
        save: writes the unwrapped model's folder, loadable by its `from_pretrained`.
        examples: their number, or a stream of them.
        monitor: the validation metric that selects the best weights.
        larger_is_better: of the monitor.
        drop_last: see Batches.
        names: of the examples, for the error; a stream has its own.
        groups: (examples,) group of each example, for `LoopConfig.run`.
        chances: chance levels of metrics; see `chance_figures` for what is reported.
    """

    model: nn.Module
    loss: Loss
    validate: Callable[[nn.Module], dict[str, float]]
    save: Callable[[nn.Module, Path], None]
    examples: int | Stream
    monitor: str = "val_loss"
    larger_is_better: bool = False
    drop_last: bool = False
    names: Sequence[str] = ()
    groups: np.ndarray | None = None
    chances: Sequence[Chance] = ()

    def improves(self, new: dict[str, float], old: dict[str, float] | None) -> bool:
        """Whether the new metrics are better than the old ones, if any."""
        if old is None:
            return True
        one, other = new[self.monitor], old[self.monitor]
        return one > other if self.larger_is_better else one < other


def fit(task: Task, config: LoopConfig, session: Session) -> dict[str, float]:
    """Train the task's model in place, together with the other ranks, if any; reports each checkpoint.

    An interrupted run that resumes from its last checkpoint ends with the same weights as an uninterrupted one.

    Returns:
        The metrics of the final weights, and those of `chance_figures`.

    Raises:
        CheckpointError: `session.resume_from` can't be read, on any rank; raised on all.
        LossError: the loss is not finite, on any rank; raised on all.
    """
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    batches: Epochs
    if isinstance(task.examples, Stream):
        batches = StreamedBatches(task.examples, config.batch_size, rank, world_size, task.drop_last)
    else:
        batches = Batches(
            task.examples, config.batch_size, config.seed, rank, world_size, task.drop_last, task.groups, config.run
        )
    bare, model = task.model, _distributed(task.model, world_size)
    optimizer = new_optimizer(bare, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _lr_factor(config, len(batches) * config.epochs))
    start = session.resume_from
    progress = Progress() if start is None else restore(start, bare, optimizer, scheduler)

    def checkpoint(metrics: dict[str, float]) -> None:
        best = {f"best_{k}": v for k, v in (progress.best["metrics"] or {}).items() if k[:4] == "val_" or k == "epoch"}
        with tempfile.TemporaryDirectory() if rank == 0 else contextlib.nullcontext() as folder:
            if folder is not None:
                write_checkpoint(Path(folder), bare, task.save, progress, optimizer, scheduler)
            figures = chance_figures(task.chances, progress.reached)
            session.report({**metrics, **best, **figures}, Path(folder) if folder else None)

    if progress.epoch >= config.epochs:  # the launcher may have lost the report
        checkpoint(progress.best["metrics"])
    while progress.epoch < config.epochs:
        epoch = progress.epoch
        try:
            _train_epoch(model, task.loss, batches, progress, optimizer, scheduler, config, checkpoint)
        except LossError as error:
            if not task.names:
                raise
            named = [task.names[int(number)] for number in error.examples]
            raise LossError(error.loss, error.epoch, error.step, named) from error
        logged = _means(progress, len(batches))
        progress.epoch, progress.step, progress.totals = epoch + 1, 0, {}
        if (epoch + 1) % config.checkpoint_every and epoch + 1 < config.epochs:
            continue
        bare.eval()
        with torch.no_grad():
            validated = task.validate(bare)
        metrics = {**logged, **validated, "epoch": float(epoch + 1), "lr": float(scheduler.get_last_lr()[0])}
        update_reached(progress.reached, task.chances, metrics)
        if task.improves(metrics, progress.best["metrics"]) or config.select == "last":
            weights = {k: v.detach().clone() for k, v in bare.state_dict().items()}
            progress.best = {"metrics": metrics, "weights": weights}
        checkpoint(metrics)
    bare.load_state_dict(progress.best["weights"])
    return {**progress.best["metrics"], **chance_figures(task.chances, progress.reached)}


def _distributed(model: nn.Module, world_size: int) -> nn.Module:
    """The model, wrapped in DistributedDataParallel if there are several workers."""
    if world_size == 1:
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=None if device.type == "cpu" else [device])


def _train_epoch(
    model: nn.Module,
    loss: Loss,
    batches: Epochs,
    progress: Progress,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    config: LoopConfig,
    checkpoint: Callable[[dict[str, float]], None],
) -> None:
    """Run the remaining steps of an epoch."""
    model.train()
    for step, (part, size) in enumerate(batches.epoch(progress.epoch)):
        if step < progress.step:
            continue
        # the same dropout after resuming
        torch.manual_seed(hash((config.seed, progress.epoch, step, batches.rank)) % 2**31)
        optimizer.zero_grad(set_to_none=True)
        figures = _backward(model, loss, part, size, step, batches.world_size, progress, config)
        if config.clip_norm > 0:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        scheduler.step()
        for name, figure in figures.items():
            progress.totals[name] = progress.totals.get(name, 0.0) + figure
        progress.step = step + 1
        if config.checkpoint_steps and progress.step < len(batches):
            done = progress.epoch * len(batches) + progress.step
            if done % config.checkpoint_steps == 0:
                means = _means(progress, progress.step)
                checkpoint({**means, "epoch": done / len(batches), "lr": float(scheduler.get_last_lr()[0])})


def _backward(
    model: nn.Module,
    loss: Loss,
    share: Part,
    size: int,
    step: int,
    world_size: int,
    progress: Progress,
    config: LoopConfig,
) -> dict[str, float]:
    """Gradients of one batch, of `size` examples over all ranks; metrics to log."""
    # each rank has at least that many
    cuts = np.array_split(np.arange(len(share)), min(config.accumulate, size // world_size))
    device = next(model.parameters()).device.type
    autocast = torch.autocast(device, torch.bfloat16, enabled=_in_bfloat16(config, device))
    totals: dict[str, float] = {}
    for number, cut in enumerate(cuts):
        part, last = part_of(share, cut), number == len(cuts) - 1
        with contextlib.nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync():  # type: ignore[operator]
            with autocast:
                value, figures = loss(model, part)
            _require_finite(value, progress.epoch, step, share, world_size)
            # DDP averages over ranks, but an uneven split must still weigh every example equally
            (value * (len(part) * world_size / size)).backward()
        for name, figure in {"train_loss": float(value.detach()), **figures}.items():
            totals[name] = totals.get(name, 0.0) + figure * len(part) / len(share)
    return totals


def _in_bfloat16(config: LoopConfig, device: str) -> bool:
    if config.precision == "auto":
        return device == "cuda" and has_fast_bfloat16(
            device
        )  # autocast is slow on a CPU: it rounds weights at each call
    return config.precision == "bfloat16"


def _require_finite(value: Tensor, epoch: int, step: int, share: Part, world_size: int) -> None:
    """Stop all ranks together: one that continued would wait for the others' gradients."""
    finite = torch.isfinite(value.detach()).float()
    if world_size > 1:
        dist.all_reduce(finite, dist.ReduceOp.MIN)
    if not finite:
        raise LossError(float(value.detach()), epoch, step, names_of(share))


def _means(progress: Progress, steps: int) -> dict[str, float]:
    return {name: total / steps for name, total in progress.totals.items()}


def new_optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW or Adam, fused: one pass over the weights per step, on CPU and GPU."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=config.lr, fused=True)
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _lr_factor(config: LoopConfig, total_steps: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        if config.schedule == "constant":
            return 1.0
        progress = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor
