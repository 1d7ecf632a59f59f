"""One loop for all models, on one process or many: it knows batches, losses and a report callable, no launcher."""

import contextlib
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from showcases.bfloat16 import has_fast_bfloat16
from showcases.errors import CheckpointError, ShowcasesError
from showcases.training.batches import Batches, Epochs, Part, Stream, StreamedBatches, names_of, part_of
from showcases.training.chance import Chance, chance_figures, update_reached
from showcases.training.config import LoopConfig, Report

STATE_FILE = "trainer.pt"
STATE_VERSION = 2  # of that file's form; a file of another version is not resumed from


class LossError(ShowcasesError):
    """The loss is not finite.

    Attributes:
        loss: of this rank; finite where another rank's is not.
        epoch, step: where, from 0.
        examples: of the batch on this rank: names, or numbers where they have none.
    """

    def __init__(self, loss: float, epoch: int, step: int, examples: Sequence[int | str]) -> None:
        super().__init__(
            f"loss is {loss} at epoch {epoch + 1}, step {step + 1} (examples {list(examples[:8])}…): lower lr, or look "
            "at those examples; the last checkpoint is kept"
        )
        self.loss, self.epoch, self.step, self.examples = loss, epoch, step, list(examples)


Loss = Callable[[nn.Module, Part], tuple[Tensor, dict[str, float]]]


@dataclass
class _Progress:
    """Where a run is: all that a checkpoint holds beside the weights, the optimizer and the schedule.

    Attributes:
        epoch, step: to be done next; batches and dropout follow from them and the seed.
        totals: figures summed over the epoch's steps so far.
        best: metrics and weights of the best validation.
        reached: the best figure so far of each metric that has a chance value.
    """

    epoch: int = 0
    step: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=lambda: {"metrics": None, "weights": None})
    reached: dict[str, float] = field(default_factory=dict)


def fit(
    model: nn.Module,
    loss: Loss,
    validate: Callable[[nn.Module], dict[str, float]],
    save: Callable[[nn.Module, Path], None],
    examples: int | Stream,
    config: LoopConfig,
    report: Report,
    *,
    monitor: str,
    larger_is_better: bool,
    resume_from: Path | None = None,
    drop_last: bool = False,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
    chances: Sequence[Chance] = (),
) -> dict[str, float]:
    """Train `model` in place and report with each checkpoint.

    Cut off anywhere and resumed from its last checkpoint, a run ends with the weights it would have had.

    Args:
        model: bare or wrapped in DistributedDataParallel; already on its device.
        loss: (model, example numbers, or rows of the stream) -> (mean loss over them, figures to log).
        validate: metrics on the validation split, of the bare model; the same on every rank.
        save: writes the bare model's folder, loadable by its `from_pretrained`.
        examples: how many there are, or a stream of them.
        monitor: the validation metric that decides which weights are kept.
        resume_from: a checkpoint that an earlier call reported.
        drop_last: see Batches.
        names: of the examples, for the error; a stream has names of its own.
        groups: (examples,) of each example; `config.run` of a group come one after the other.
        chances: of metrics, what a model reaches that has learned nothing; see `chance_figures` for what is reported.

    Returns:
        The metrics of the weights that the model ends with, and those of `chance_figures`.

    Raises:
        CheckpointError: `resume_from` can't be read, on any rank; raised on all.
        LossError: the loss is not finite, on any rank; raised on all.
    """
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    batches: Epochs
    if isinstance(examples, Stream):
        batches = StreamedBatches(examples, config.batch_size, rank, world_size, drop_last)
    else:
        batches = Batches(examples, config.batch_size, config.seed, rank, world_size, drop_last, groups, config.run)
    bare: nn.Module = model.module if hasattr(model, "module") else model  # type: ignore[assignment]
    optimizer = new_optimizer(bare, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _lr_factor(config, len(batches) * config.epochs))
    progress = _Progress() if resume_from is None else _restore(resume_from, bare, optimizer, scheduler)
    is_complete = progress.epoch >= config.epochs

    def checkpoint(metrics: dict[str, float]) -> None:
        kept = {f"best_{k}": v for k, v in (progress.best["metrics"] or {}).items() if k[:4] == "val_" or k == "epoch"}
        with tempfile.TemporaryDirectory() if rank == 0 else contextlib.nullcontext() as folder:
            if folder is not None:
                _checkpoint(Path(folder), bare, save, progress, optimizer, scheduler)
            figures = chance_figures(chances, progress.reached)
            report({**metrics, **kept, **figures}, Path(folder) if folder else None)

    if is_complete:  # its launcher may have lost what was reported
        checkpoint(progress.best["metrics"])
    while progress.epoch < config.epochs:
        epoch = progress.epoch
        try:
            _train_epoch(model, loss, batches, progress, optimizer, scheduler, config, checkpoint)
        except LossError as error:
            if not names:
                raise
            told = [names[int(number)] for number in error.examples]
            raise LossError(error.loss, error.epoch, error.step, told) from error
        logged = _means(progress, len(batches))
        progress.epoch, progress.step, progress.totals = epoch + 1, 0, {}
        if (epoch + 1) % config.checkpoint_every and epoch + 1 < config.epochs:
            continue
        bare.eval()
        with torch.no_grad():
            metrics = {**logged, **validate(bare), "epoch": float(epoch + 1), "lr": float(scheduler.get_last_lr()[0])}
        update_reached(progress.reached, chances, metrics)
        if _improves(metrics, progress.best["metrics"], monitor, larger_is_better) or config.select == "last":
            weights = {k: v.detach().clone() for k, v in bare.state_dict().items()}
            progress.best = {"metrics": metrics, "weights": weights}
        checkpoint(metrics)
    bare.load_state_dict(progress.best["weights"])
    return {**progress.best["metrics"], **chance_figures(chances, progress.reached)}


def _train_epoch(
    model: nn.Module,
    loss: Loss,
    batches: Epochs,
    progress: _Progress,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    config: LoopConfig,
    checkpoint: Callable[[dict[str, float]], None],
) -> None:
    """The steps of an epoch that are left."""
    model.train()
    for step, (part, size) in enumerate(batches.epoch(progress.epoch)):
        if step < progress.step:
            continue
        # dropout: same after a resume
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
    progress: _Progress,
    config: LoopConfig,
) -> dict[str, float]:
    """Gradients of one batch, of `size` examples over all ranks; figures to log."""
    # each rank has that many at least
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
            # DDP averages over ranks; an uneven split of the batch must still weigh every example alike
            (value * (len(part) * world_size / size)).backward()
        for name, figure in {"train_loss": float(value.detach()), **figures}.items():
            totals[name] = totals.get(name, 0.0) + figure * len(part) / len(share)
    return totals


def _in_bfloat16(config: LoopConfig, device: str) -> bool:
    if config.precision == "auto":
        return device == "cuda" and has_fast_bfloat16(device)  # autocast rounds weights at each call: slow on a CPU
    return config.precision == "bfloat16"


def _require_finite(value: Tensor, epoch: int, step: int, share: Part, world_size: int) -> None:
    """All ranks stop together: one that went on would wait for the others' gradients."""
    finite = torch.isfinite(value.detach()).float()
    if world_size > 1:
        dist.all_reduce(finite, dist.ReduceOp.MIN)
    if not finite:
        raise LossError(float(value.detach()), epoch, step, names_of(share))


def _means(progress: _Progress, steps: int) -> dict[str, float]:
    return {name: total / steps for name, total in progress.totals.items()}


def new_optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    """AdamW or Adam, fused: one pass over the weights a step, on a CPU as on a GPU."""
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


def _improves(new: dict[str, float], old: dict[str, float] | None, monitor: str, larger_is_better: bool) -> bool:
    if old is None:
        return True
    return new[monitor] > old[monitor] if larger_is_better else new[monitor] < old[monitor]


def _checkpoint(
    folder: Path,
    model: nn.Module,
    save: Callable[[nn.Module, Path], None],
    progress: _Progress,
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
) -> None:
    """Write the best weights as a loadable model folder, and beside them all that a resumed run needs."""
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


def _restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any) -> _Progress:
    """Read a checkpoint into the model, the optimizer and the schedule, whatever device it was written on.

    Raises:
        CheckpointError: it can't be read, on any rank; raised on all, so that all fall back to the same one.
    """
    progress, failure = None, None
    try:
        progress = _load(folder, model, optimizer, scheduler)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # half a file, none, or one of another model: torch has no error of its own for these
        failure = error
    if dist.is_initialized() and dist.get_world_size() > 1:
        good = torch.tensor(float(failure is None), device=next(model.parameters()).device)
        dist.all_reduce(good, dist.ReduceOp.MIN)
        if not good and failure is None:
            failure = CheckpointError("another worker can't read it")
    if failure is not None or progress is None:
        raise CheckpointError(f"checkpoint {folder.name} can't be read: {_first_line(failure)}") from failure
    return progress


def _load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any) -> _Progress:
    # Read into memory of the host: the GPU it was written on may be absent here, or another rank's.
    state = torch.load(folder / STATE_FILE, weights_only=True, map_location="cpu")
    if state.get("version") != STATE_VERSION:
        raise CheckpointError(f"its form is version {state.get('version', 1)}, this release reads {STATE_VERSION}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.last_epoch = state["scheduler"]["last_epoch"]
    return _Progress(**{each.name: state[each.name] for each in fields(_Progress)})


def _first_line(error: Exception | None) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
