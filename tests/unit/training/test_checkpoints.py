"""Checkpoints from elsewhere: written on a GPU, half written, of another version or model."""

import zipfile
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showcases.errors import CheckpointError
from showcases.training import Chance, LoopConfig, Session, Task, chance_warning, fit
from showcases.training.checkpoints import STATE_FILE

CONFIG = LoopConfig(epochs=4, batch_size=8, lr=1e-2)


def train(folder: Path | None = None, resume_from: Path | None = None, width: int = 8, **options: Any) -> list[Tensor]:
    """Weights that a small network ends with; its checkpoints go to the folder, named by their epochs."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 1))
    inputs = torch.randn(24, 6, generator=torch.Generator().manual_seed(0))

    def loss(module: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        return nn.functional.mse_loss(module(inputs[numbers]), inputs[numbers].square().sum(1, keepdim=True)), {}

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        reports.append(metrics)
        if folder is not None and checkpoint is not None:
            copytree(checkpoint, folder / f"{metrics['epoch']:g}", dirs_exist_ok=True)

    reports: list[dict[str, float]] = options.pop("reports", [])

    def validate(module: nn.Module) -> dict[str, float]:
        return {"val_loss": float(loss(module, np.arange(24))[0])}

    config = options.pop("config", CONFIG)
    task = Task(model, loss, validate, lambda _, place: place.mkdir(), 24, **options)
    fit(task, config, Session(report, resume_from))
    return [parameter.detach().clone() for parameter in model.parameters()]


def onto_gpu(file: Path, device: str) -> None:
    """Rewrite a file of torch.save as if its tensors had been on a GPU."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    [pickled] = [name for name in parts if name.endswith("/data.pkl")]
    word = b"X" + len(device).to_bytes(4, "little") + device.encode()  # a unicode string in the pickle
    assert b"X\x03\x00\x00\x00cpu" in parts[pickled]
    parts[pickled] = parts[pickled].replace(b"X\x03\x00\x00\x00cpu", word)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("device", ["cuda:0", "cuda:3"])
def test_a_checkpoint_written_on_a_gpu_is_resumed_without_one(tmp_path: Path, device: str) -> None:
    expected = train(tmp_path)
    file = tmp_path / "2" / STATE_FILE
    onto_gpu(file, device)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(file, weights_only=True)  # it does name the GPU
    for found, wanted in zip(train(resume_from=tmp_path / "2"), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("left", [0.0, 0.3, 0.99])
def test_half_a_checkpoint_is_named(tmp_path: Path, left: float) -> None:
    train(tmp_path)
    file = tmp_path / "2" / STATE_FILE
    data = file.read_bytes()
    file.write_bytes(data[: int(left * len(data))])
    with pytest.raises(CheckpointError, match="checkpoint 2 can't be read: "):
        train(resume_from=tmp_path / "2")
    file.unlink()
    with pytest.raises(CheckpointError, match="checkpoint 2 can't be read: .*No such file"):
        train(resume_from=tmp_path / "2")


def test_a_checkpoint_of_another_version_or_model_is_named(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(CheckpointError, match="checkpoint 2 can't be read: .*size mismatch|loading state_dict"):
        train(resume_from=tmp_path / "2", width=9)
    file = tmp_path / "2" / STATE_FILE
    state = torch.load(file, weights_only=True)
    torch.save({**state, "version": 99}, file)
    with pytest.raises(CheckpointError, match="version 99, this release reads 2"):
        train(resume_from=tmp_path / "2")
    del state["version"]
    torch.save(state, file)
    with pytest.raises(CheckpointError, match="version 1, this release"):
        train(resume_from=tmp_path / "2")


def test_a_run_resumed_after_its_end_reports_again(tmp_path: Path) -> None:
    """Whoever started it may have lost what was reported."""
    train(tmp_path)
    reports: list[dict[str, float]] = []
    train(tmp_path / "again", resume_from=tmp_path / "4", reports=reports)
    assert len(reports) == 1 and (tmp_path / "again" / "4" / STATE_FILE).is_file()


def test_the_best_figure_is_compared_with_chance_over_a_resume(tmp_path: Path) -> None:
    chances = (
        Chance("train_loss", value=1e6, margin=0.0, larger_is_better=False),
        Chance("val_loss", value=0.0, margin=0.0, larger_is_better=False),
    )
    whole: list[dict[str, float]] = []
    train(tmp_path, reports=whole, chances=chances)
    resumed: list[dict[str, float]] = []
    train(resume_from=tmp_path / "2", reports=resumed, chances=chances)
    assert resumed == whole[2:]
    last = whole[-1]
    assert (last["at_chance_train_loss"], last["at_chance_val_loss"]) == (0.0, 1.0)
    assert last["reached_val_loss"] == min(entry["val_loss"] for entry in whole)
    warning = chance_warning("a model", last, "a wrong lr")
    assert warning is not None and warning.startswith("WARNING: a model is no better than chance: val_loss ")
    assert "train_loss" not in warning and warning.endswith("(chance 0.000). Look for: a wrong lr")


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_chance_is_beaten_beyond_the_margin_only(larger_is_better: bool) -> None:
    chance = Chance("m", value=0.5, margin=0.1, larger_is_better=larger_is_better)
    sign = 1 if larger_is_better else -1
    assert [chance.is_beaten_by(0.5 + sign * gain) for gain in (-0.2, 0.0, 0.09, 0.11)] == [False, False, False, True]
    assert chance_warning("m", {"val_loss": 1.0}, "") is None
    assert replace(chance, margin=0.0).better(0.4, 0.6) == (0.6 if larger_is_better else 0.4)
