"""One loop for all models, on one process or many: it knows batches, losses and a report callable, no launcher."""

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from showcases.errors import ConfigError, ShowcasesError
from showcases.training.config import LoopConfig, Report

STATE_FILE = "trainer.pt"


class Batches:
    """Index batches in an order that seed and epoch fix; ranks split each batch, so N workers see what one would.

    Args:
        examples: how many there are.
        batch_size: over all ranks.
        drop_last: leave out a last batch that is not full, for losses that compare equal shares of the batch.
    """

    def __init__(
        self, examples: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
    ) -> None:
        if examples < 1:
            raise ConfigError("no training examples: the training split is empty; is the corpus large enough?")
        if batch_size < world_size:
            raise ConfigError(f"batch_size {batch_size} is less than the {world_size} workers; raise it")
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.rank, self.world_size, self.drop_last = rank, world_size, drop_last and examples >= batch_size

    def __len__(self) -> int:
        full, rest = divmod(self.examples, self.batch_size)
        return full + (
            not self.drop_last and rest >= self.world_size
        )  # a last batch smaller than the world would leave ranks idle

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, int]]:
        """Yield (this rank's example numbers, size of the whole batch)."""
        order = np.random.default_rng([self.seed, number]).permutation(self.examples)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield batch[self.rank :: self.world_size], len(batch)


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, np.ndarray], tuple[Tensor, dict[str, float]]],
    validate: Callable[[nn.Module], dict[str, float]],
    save: Callable[[nn.Module, Path], None],
    examples: int,
    config: LoopConfig,
    report: Report,
    *,
    monitor: str,
    larger_is_better: bool,
    resume_from: Path | None = None,
    drop_last: bool = False,
) -> dict[str, float]:
    """Train `model` in place and report after each validation.

    Args:
        model: bare or wrapped in DistributedDataParallel; already on its device.
        loss: (model, example numbers) -> (mean loss over them, figures to log).
        validate: metrics on the validation split, of the bare model; the same on every rank.
        save: writes the bare model's folder, loadable by its `from_pretrained`.
        monitor: the validation metric that decides which weights are kept.
        resume_from: a checkpoint that an earlier call reported.
        drop_last: see Batches.

    Returns:
        The metrics of the weights that the model ends with.

    Raises:
        ShowcasesError: the loss is not finite.
    """
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    batches = Batches(examples, config.batch_size, config.seed, rank, world_size, drop_last)
    bare: nn.Module = model.module if hasattr(model, "module") else model  # type: ignore[assignment]
    optimizer = _optimizer(bare, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _lr_factor(config, len(batches) * config.epochs))
    best: dict[str, Any] = {"metrics": None, "weights": None}
    first_epoch = 0
    if resume_from is not None:
        first_epoch = _restore(resume_from, bare, optimizer, scheduler, best)
    for epoch in range(first_epoch, config.epochs):
        logged = _train_epoch(model, loss, batches, epoch, optimizer, scheduler, config)
        if (epoch + 1) % config.checkpoint_every and epoch + 1 < config.epochs:
            continue
        bare.eval()
        with torch.no_grad():
            metrics = {**logged, **validate(bare), "epoch": float(epoch + 1), "lr": float(scheduler.get_last_lr()[0])}
        if _improves(metrics, best["metrics"], monitor, larger_is_better) or config.select == "last":
            best = {"metrics": metrics, "weights": {k: v.detach().clone() for k, v in bare.state_dict().items()}}
        with tempfile.TemporaryDirectory() if rank == 0 else contextlib.nullcontext() as folder:
            if folder is not None:
                _checkpoint(Path(folder), bare, save, epoch + 1, optimizer, scheduler, best)
            kept = {f"best_{k}": v for k, v in best["metrics"].items() if k.startswith("val_") or k == "epoch"}
            report({**metrics, **kept}, Path(folder) if folder else None)
    bare.load_state_dict(best["weights"])
    return dict(best["metrics"])


def _train_epoch(model, loss, batches, epoch, optimizer, scheduler, config) -> dict[str, float]:  # type: ignore[no-untyped-def]
    model.train()
    totals: dict[str, float] = {}
    for step, (numbers, batch_size) in enumerate(batches.epoch(epoch)):
        torch.manual_seed(hash((config.seed, epoch, step, batches.rank)) % 2**31)  # dropout: same after a resume
        value, figures = loss(model, numbers)
        if not torch.isfinite(value):
            raise ShowcasesError(
                f"loss is {value.item()} at epoch {epoch + 1}, step {step + 1} "
                f"(examples {numbers[:8].tolist()}…): lower lr, or look at those examples; the last checkpoint is kept"
            )
        optimizer.zero_grad(set_to_none=True)
        # DDP averages over ranks; an uneven split of the batch must still weigh every example alike
        (value * (len(numbers) * batches.world_size / batch_size)).backward()
        if config.clip_norm > 0:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        scheduler.step()
        for name, figure in {"train_loss": float(value.detach()), **figures}.items():
            totals[name] = totals.get(name, 0.0) + figure
    return {name: total / len(batches) for name, total in totals.items()}


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=config.lr)
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)


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


def _checkpoint(folder, model, save, epochs_done, optimizer, scheduler, best) -> None:  # type: ignore[no-untyped-def]
    """Write the best weights as a loadable model folder, and beside them all that a resumed run needs."""
    last = {k: v.detach().clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best["weights"])
    save(model, folder / "model")
    model.load_state_dict(last)
    state = {
        "epochs_done": epochs_done,
        "model": last,
        "optimizer": optimizer.state_dict(),
        "scheduler": {"last_epoch": scheduler.last_epoch},
        "best": best,
    }
    torch.save(state, folder / STATE_FILE)


def _restore(folder: Path, model: nn.Module, optimizer: Any, scheduler: Any, best: dict[str, Any]) -> int:
    state = torch.load(folder / STATE_FILE, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.last_epoch = state["scheduler"]["last_epoch"]
    best.update(state["best"])
    return int(state["epochs_done"])
