"""The training loop: order of examples, resuming, what is kept, and when it stops."""

import math
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showcases.errors import ConfigError
from showcases.training import Batches, LoopConfig, Session, Task, fit
from showcases.training.loop import LossError

EXAMPLES = 50


def _data() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(EXAMPLES, 6, generator=torch.Generator().manual_seed(0))
    return inputs, inputs.square().sum(1, keepdim=True)


class Toy(nn.Module):
    """With dropout, so that a resumed run must also draw the same numbers."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.layers(inputs)
        return out


def _loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
    inputs, targets = _data()
    return nn.functional.mse_loss(model(inputs[numbers]), targets[numbers]), {"seen": float(len(numbers))}


def _validate(model: nn.Module) -> dict[str, float]:
    assert not model.training
    inputs, targets = _data()
    return {"val_loss": float(nn.functional.mse_loss(model(inputs), targets))}


def _save(model: nn.Module, folder: Path) -> None:
    folder.mkdir()
    torch.save(model.state_dict(), folder / "weights.pt")


class Kept:
    """A report that keeps each checkpoint, as a launcher would."""

    def __init__(self, folder: Path, die_after: int | None = None) -> None:
        self.folder, self.die_after = folder, die_after
        self.metrics: list[dict[str, float]] = []

    def __call__(self, metrics: dict[str, float], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        self.metrics.append(metrics)
        copytree(checkpoint, self.folder / f"{metrics['epoch']:g}")
        if len(self.metrics) == self.die_after:
            raise KeyboardInterrupt


def _run(config: LoopConfig, report: Any, resume_from: Path | None = None, **options: Any) -> tuple[Toy, dict]:  # type: ignore[type-arg]
    model = Toy()
    chosen = {"loss": _loss, "validate": _validate, **options}
    names = options.get("names", ())
    task = Task(model, chosen["loss"], chosen["validate"], _save, EXAMPLES, names=names)
    return model, fit(task, config, Session(report, resume_from))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_cut_off_and_resumed_it_ends_as_if_nothing_had_happened(tmp_path: Path, schedule: Any, optimizer: Any) -> None:
    config = LoopConfig(epochs=6, batch_size=8, lr=1e-2, optimizer=optimizer, schedule=schedule, warmup_steps=10)
    whole = Kept(tmp_path / "whole")
    model, metrics = _run(config, whole)
    cut = Kept(tmp_path / "cut", die_after=2)
    with pytest.raises(KeyboardInterrupt):
        _run(config, cut)
    rest = Kept(tmp_path / "rest")
    resumed, resumed_metrics = _run(config, rest, resume_from=tmp_path / "cut" / "2")
    assert [entry["epoch"] for entry in rest.metrics] == [3, 4, 5, 6]
    assert resumed_metrics == metrics
    assert rest.metrics == whole.metrics[2:]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


@pytest.mark.parametrize("die_after", [1, 2, 3, 5])  # of 7 steps an epoch: steps 3, 6, 7 (validation), 9, 12
def test_cut_off_within_an_epoch_it_ends_with_the_same_weights(tmp_path: Path, die_after: int) -> None:
    config = LoopConfig(epochs=3, batch_size=8, lr=1e-2, schedule="cosine", checkpoint_steps=3)
    whole = Kept(tmp_path / "whole")
    model, metrics = _run(config, whole)
    steps = [round(entry["epoch"] * 7, 3) for entry in whole.metrics]
    assert steps == [3, 6, 7, 9, 12, 14, 15, 18, 21]
    cut = Kept(tmp_path / "cut", die_after)
    with pytest.raises(KeyboardInterrupt):
        _run(config, cut)
    last = f"{cut.metrics[-1]['epoch']:g}"
    assert (tmp_path / "cut" / last / "model" / "weights.pt").exists()  # loadable before the first validation, too
    rest = Kept(tmp_path / "rest")
    resumed, resumed_metrics = _run(config, rest, resume_from=tmp_path / "cut" / last)
    assert resumed_metrics == metrics and rest.metrics == whole.metrics[die_after:]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    without, _ = _run(replace(config, checkpoint_steps=0), lambda *_: None)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), without.parameters(), strict=True))


def test_a_checkpoint_within_an_epoch_holds_the_best_weights_so_far(tmp_path: Path) -> None:
    scores = iter([1.0, 5.0])
    report = Kept(tmp_path)
    config = LoopConfig(epochs=2, batch_size=8, lr=1e-2, checkpoint_steps=5)
    _run(config, report, validate=lambda _: {"val_loss": next(scores)})
    saved = [torch.load(tmp_path / f"{entry['epoch']:g}" / "model" / "weights.pt") for entry in report.metrics]
    assert [round(entry["epoch"] * 7) for entry in report.metrics] == [5, 7, 10, 14]
    assert [entry.get("best_val_loss") for entry in report.metrics] == [None, 1.0, 1.0, 1.0]
    key = "layers.0.weight"
    assert torch.equal(saved[2][key], saved[1][key]) and not torch.equal(saved[0][key], saved[1][key])


@pytest.mark.parametrize("accumulate", [2, 3, 100])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(accumulate: int) -> None:
    config = LoopConfig(epochs=2, batch_size=8, lr=1e-2)  # the last batch has 2 examples

    def run(config: LoopConfig) -> tuple[dict[str, Tensor], dict[str, float]]:
        model = Toy(dropout=0.0)
        metrics = fit(Task(model, _loss, _validate, _save, EXAMPLES), config, Session(lambda *_: None))
        return model.state_dict(), metrics

    (whole, metrics), (parts, found) = run(config), run(replace(config, accumulate=accumulate))
    assert found["train_loss"] == pytest.approx(metrics["train_loss"], rel=1e-5)
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


def test_in_bfloat16_the_weights_stay_float32_and_the_loss_is_close() -> None:
    seen = []

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        seen.append(model(_data()[0][:2]).dtype)
        return _loss(model, numbers)

    config = LoopConfig(epochs=2, batch_size=8, lr=1e-2)
    _, exact = _run(config, lambda *_: None)
    model, rounded = _run(replace(config, precision="bfloat16"), lambda *_: None, loss=loss)
    assert set(seen) == {torch.bfloat16} and {p.dtype for p in model.parameters()} == {torch.float32}
    assert rounded["train_loss"] != exact["train_loss"]
    assert rounded["train_loss"] == pytest.approx(exact["train_loss"], rel=0.15)


def test_resumed_after_the_end_it_gives_what_was_kept(tmp_path: Path) -> None:
    config = LoopConfig(epochs=3, batch_size=8, lr=1e-2)
    model, metrics = _run(config, Kept(tmp_path / "a"))
    again, same = _run(config, Kept(tmp_path / "b"), resume_from=tmp_path / "a" / "3")
    assert same == metrics
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_best_weights_are_kept_and_saved(tmp_path: Path) -> None:
    scores = iter([5.0, 1.0, 3.0, 2.0])
    weights: list[Tensor] = []

    def validate(model: nn.Module) -> dict[str, float]:
        weights.append(next(model.parameters()).detach().clone())
        return {"val_loss": next(scores)}

    report = Kept(tmp_path)
    model, metrics = _run(LoopConfig(epochs=4, batch_size=8, lr=1e-2), report, validate=validate)
    assert (metrics["epoch"], metrics["val_loss"]) == (2.0, 1.0)
    assert [entry["best_val_loss"] for entry in report.metrics] == [5.0, 1.0, 1.0, 1.0]
    assert torch.equal(next(model.parameters()), weights[1])
    saved = torch.load(tmp_path / "4" / "model" / "weights.pt", weights_only=True)
    assert torch.equal(saved["layers.0.weight"], weights[1])
    scores = iter([1.0, 5.0])
    model, _ = _run(
        LoopConfig(epochs=2, batch_size=8, select="last"), lambda *_: None, validate=validate
    )  # the last one, though worse
    assert torch.equal(next(model.parameters()), weights[5])


def test_a_loss_that_is_no_number_stops_and_says_where(tmp_path: Path) -> None:
    calls = 0

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        nonlocal calls
        calls += 1
        value, figures = _loss(model, numbers)
        return (value * float("nan") if calls == 10 else value), figures

    report = Kept(tmp_path)
    with pytest.raises(LossError, match="loss is nan at epoch 2, step 3") as told:
        _run(LoopConfig(epochs=3, batch_size=8), report, loss=loss)
    batch, _ = list(Batches(EXAMPLES, 8, seed=0).epoch(1))[2]
    assert (told.value.epoch, told.value.step, told.value.examples) == (1, 2, batch.tolist())
    calls = 0
    with pytest.raises(LossError, match=f"review-{batch[0]}") as told:
        _run(LoopConfig(epochs=3, batch_size=8), lambda *_: None, loss=loss, names=[f"review-{i}" for i in range(50)])
    assert told.value.examples == [f"review-{number}" for number in batch]
    assert (tmp_path / "1" / "model" / "weights.pt").exists() and not (tmp_path / "2").exists()


def test_checkpoints_come_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    report = Kept(tmp_path)
    _run(LoopConfig(epochs=5, batch_size=16, checkpoint_every=2), report)
    assert [entry["epoch"] for entry in report.metrics] == [2, 4, 5]


def test_learning_rate_warms_up_and_decays() -> None:
    config = LoopConfig(epochs=4, batch_size=10, lr=0.1, schedule="cosine", warmup_steps=5)  # 20 steps of 50 examples
    rates: list[float] = []
    _run(config, lambda metrics, _: rates.append(metrics["lr"]))
    after = [0.1 * 0.5 * (1 + math.cos(math.pi * (step - 5) / 15)) for step in (5, 10, 15, 20)]
    assert rates == pytest.approx(after, abs=1e-9)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("examples", [20, 23, 31])
def test_ranks_split_each_batch(examples: int, world_size: int) -> None:
    alone = list(Batches(examples, 7, seed=4).epoch(2))
    ranks = [list(Batches(examples, 7, 4, rank, world_size).epoch(2)) for rank in range(world_size)]
    for step, (batch, size) in enumerate(alone):
        if size < world_size:  # too small to give each rank an example
            assert all(len(rank) == step for rank in ranks)
            break
        parts = [rank[step][0] for rank in ranks]
        assert sorted(np.concatenate(parts)) == sorted(batch)
        assert all(len(part) > 0 for part in parts)
        assert {rank[step][1] for rank in ranks} == {len(batch)}


def test_every_example_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    batches = Batches(23, 5, seed=0)
    first, second = (np.concatenate([batch for batch, _ in batches.epoch(number)]) for number in (0, 1))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first.tolist() != second.tolist()
    assert first.tolist() == np.concatenate([batch for batch, _ in Batches(23, 5, seed=0).epoch(0)]).tolist()
    assert first.tolist() != np.concatenate([batch for batch, _ in Batches(23, 5, seed=1).epoch(0)]).tolist()


def test_runs_keep_a_group_together_and_leave_nothing_out() -> None:
    groups = np.random.default_rng(0).integers(0, 6, 61)
    batches = Batches(61, 8, 0, groups=groups, run=4)
    first, second = (np.concatenate([batch for batch, _ in batches.epoch(number)]) for number in (0, 1))
    assert sorted(first) == sorted(second) == list(range(61))
    assert first.tolist() != second.tolist()
    again = Batches(61, 8, 0, groups=groups, run=4).epoch(0)
    assert first.tolist() == np.concatenate([batch for batch, _ in again]).tolist()
    for order in (first, second):
        changes = int((np.diff(groups[order]) != 0).sum()) + 1
        runs = sum(-(-size // 4) for size in np.bincount(groups))
        assert len(set(groups)) < changes <= runs  # fewer where two runs of a group met, but not one block a group
    alone = Batches(61, 8, 0).epoch(0)
    whole = Batches(61, 8, 0, groups=groups).epoch(0)  # runs of 1: the plain shuffle
    assert all(np.array_equal(one, other) for (one, _), (other, _) in zip(alone, whole, strict=True))


def test_drop_last_leaves_out_what_does_not_fill_a_batch() -> None:
    assert [size for _, size in Batches(23, 5, 0, drop_last=True).epoch(0)] == [5] * 4
    assert [size for _, size in Batches(3, 5, 0, drop_last=True).epoch(0)] == [3]  # or nothing would be left


def test_useless_sizes_are_told() -> None:
    with pytest.raises(ConfigError, match="no training examples"):
        Batches(0, 5, 0)
    with pytest.raises(ConfigError, match="batch_size 1 is less than the 2 workers"):
        Batches(10, 1, 0, world_size=2)
    with pytest.raises(ConfigError, match="run is 0"):
        Batches(10, 5, 0, run=0)
