"""Streamed examples: cut into the same batches however they come, split by rank, exactly resumed."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from showcases.errors import ShowcasesError
from showcases.training import Batches, LoopConfig, Session, Stream, Task, fit
from showcases.training.batches import StreamedBatches, in_memory
from showcases.training.loop import LossError

ROWS = 23
TABLE = pa.table({"review_id": [f"r{n}" for n in range(ROWS)], "x": np.linspace(-1, 1, ROWS)})


def numbers(part: pa.Table) -> list[int]:
    return [int(name[1:]) for name in part["review_id"].to_pylist()]


def in_pieces(table: pa.Table, size: int) -> Stream:
    def epoch(_: int) -> Iterator[pa.Table]:
        for start in range(0, len(table), size):
            yield table.slice(start, size)

    return Stream(len(table), epoch)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("piece", [1, 4, 5, 100])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_those_of_the_numbers(world_size: int, piece: int, drop_last: bool) -> None:
    order = np.random.default_rng([9, 2]).permutation(ROWS)  # as Batches draws it for seed 9, epoch 2
    source = in_pieces(TABLE.take(order), piece)
    for rank in range(world_size):
        found = StreamedBatches(source, 5, rank, world_size, drop_last)
        expected = Batches(ROWS, 5, 9, rank, world_size, drop_last)
        assert len(found) == len(expected)
        assert [(numbers(part), size) for part, size in found.epoch(2)] == [
            (part.tolist(), size) for part, size in expected.epoch(2)
        ]


def test_rows_that_do_not_come_are_missed() -> None:
    short = Stream(ROWS + 1, in_pieces(TABLE, 4).epoch)
    with pytest.raises(ShowcasesError, match="read 23 training examples, but 24 were prepared"):
        list(StreamedBatches(short, 5).epoch(0))


class CutError(Exception):
    pass


def train(folder: Path, resume_from: Path | None = None, die: bool = False, bad: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))

    def loss(model: nn.Module, part: pa.Table) -> tuple[Tensor, dict[str, float]]:
        x = torch.tensor(part["x"].to_numpy(), dtype=torch.float32)[:, None]
        return (model(x) - x.square()).square().mean() * (float("nan") if bad in numbers(part) else 1.0), {}

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        copytree(checkpoint, folder / f"{metrics['epoch']:g}")
        if die and metrics["epoch"] > 1:
            raise CutError

    task = Task(model, loss, lambda _: {"val_loss": 0.0}, lambda _, place: place.mkdir(), in_memory(TABLE, 3))
    config = LoopConfig(epochs=3, batch_size=4, lr=1e-2, checkpoint_steps=4, accumulate=2, select="last")
    fit(task, config, Session(report, resume_from))
    return model


def test_cut_off_within_an_epoch_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(CutError):
        train(tmp_path / "cut", die=True)
    last = f"{8 / 6:g}"  # the second checkpoint of 4 steps, in the second epoch of 6
    resumed = train(tmp_path / "rest", resume_from=tmp_path / "cut" / last)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_bad_loss_names_its_rows(tmp_path: Path) -> None:
    with pytest.raises(LossError) as caught:
        train(tmp_path, bad=11)
    assert "r11" in caught.value.examples and len(caught.value.examples) == 4
