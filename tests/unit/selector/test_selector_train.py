"""The selector learns tastes: on users it has never seen it finds what they would photograph."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch

from showcases.errors import ConfigError
from showcases.selector import Selector, SelectorConfig, TrainSelectorConfig
from showcases.selector.data import read_splits
from showcases.selector.rankers import most_popular, random_ranker, rank_split, selector_ranker
from showcases.selector.train import SetLikelihood, chances, fit_selector, train_selector
from showcases.storage.artifacts import Workspace
from showcases.training import LoopConfig, Session, TrainingJob

CONFIG = TrainSelectorConfig(
    model=SelectorConfig(hidden_dims=(32,), out_dim=16), loop=LoopConfig(epochs=6, batch_size=32, lr=3e-3)
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("variant", ["img+text", "img", "text"])
def test_beats_random_and_most_popular_on_new_users(taste_workspace: Workspace, tmp_path: Path, variant: Any) -> None:
    reports: list[dict[str, float]] = []
    kept = tmp_path / "kept"

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        reports.append(metrics)
        copytree(checkpoint, kept, dirs_exist_ok=True)

    train_selector(TrainingJob(taste_workspace, CONFIG, variant), Session(report))
    assert [entry["epoch"] for entry in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]
    assert reports[-1]["at_chance_val_recall@3"] == 0
    assert {"val_loss", "val_precision@3", "val_recall@3", "val_f1@3", "val_div@3", "best_val_f1@3"} <= set(reports[0])
    model = Selector.from_pretrained(kept / "model")
    assert (model.profile, model.embedding_space) == (variant, "tastes")
    test = read_splits(taste_workspace, ("test",))["test"]
    ours = rank_split(test, selector_ranker(model), 3, profile=variant)[0].precision
    by_chance = np.mean([rank_split(test, random_ranker(seed), 3)[0].precision for seed in range(10)])
    popular = rank_split(test, most_popular, 3)[0].precision
    assert ours is not None and popular is not None
    assert ours > 2 * by_chance
    assert ours > popular


def test_the_loss_is_the_likelihood_example_by_example(taste_workspace: Workspace) -> None:
    data = read_splits(taste_workspace, ("val",))["val"]
    torch.manual_seed(0)
    model = Selector(CONFIG.model, "img+text", 16, 16).double()
    numbers = np.arange(12)
    expected = []
    for number in numbers.tolist():
        batch = data.batch(np.array([number]), "img+text")
        kernel = model(batch.profiles.double(), batch.images().double(), batch.mask)[0].detach()
        chosen = batch.chosen[0].nonzero().flatten()
        eye = torch.eye(len(kernel), dtype=torch.float64)
        expected.append(float(torch.logdet(kernel[chosen][:, chosen]) - torch.logdet(kernel + eye)))
    for chunk in (1, 5, 100):
        ours = SetLikelihood(model.float(), chunk)(data.batch(numbers, "img+text"))
        assert ours.tolist() == pytest.approx(expected, rel=1e-4)


def test_the_rbf_kernel_trains_too(taste_workspace: Workspace) -> None:
    splits = read_splits(taste_workspace, ("train", "val"))
    config = replace(
        CONFIG,
        model=replace(CONFIG.model, kernel="rbf", alpha=1.2, sigma=1.0),
        loop=replace(CONFIG.loop, epochs=2, batch_size=64),
    )
    losses: list[float] = []
    session = Session(lambda metrics, _: losses.append(metrics["train_loss"]))
    fit_selector(splits["train"], splits["val"], config, "img", 0, session)
    assert losses[1] < losses[0]


def test_an_empty_split_is_told(taste_workspace: Workspace) -> None:
    splits = read_splits(taste_workspace, ("train", "nowhere"))
    with pytest.raises(ConfigError, match="no val examples"):
        fit_selector(splits["train"], splits["nowhere"], CONFIG, "img", 0, Session(lambda *_: None))


def test_recall_by_chance_is_that_of_random_photos(taste_workspace: Workspace) -> None:
    validation = read_splits(taste_workspace, ("val",))["val"]
    [chance] = chances(validation, 3)
    recalls = [rank_split(validation, random_ranker(seed), 3, profile="img")[0].recall for seed in range(200)]
    assert chance.value == pytest.approx(np.mean(recalls), abs=4 * np.std(recalls) / 200**0.5)
    assert chance.margin == pytest.approx(3 * np.std(recalls), rel=0.2)
    assert chances(validation, 10_000) == []  # all photos of each business: nothing to tell
