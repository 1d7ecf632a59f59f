"""Two gloo processes train to the weights that one trains to, also where the last batch does not divide."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

from showcases.selector.config import SelectorConfig
from showcases.selector.likelihood import set_log_likelihood
from showcases.selector.model import Selector
from showcases.training import LoopConfig, Session, Task, fit
from showcases.training.loop import LossError

EXAMPLES = 21  # batches of 8, 8 and 5: the last one gives 3 examples to one rank and 2 to the other
CONFIGS = [
    LoopConfig(epochs=5, batch_size=8, lr=1e-3, select="last", clip_norm=clip_norm, accumulate=accumulate)
    for clip_norm in (0.0, 0.5)
    for accumulate in (1, 3)
]


def _train(config: LoopConfig, world_size: int, bad: int | None = None) -> tuple[nn.Module, list[float]]:
    """A selector on random examples; float32, as in a real run."""
    generator = torch.Generator().manual_seed(0)
    profiles, images = torch.randn(EXAMPLES, 10, generator=generator), torch.randn(EXAMPLES, 6, 5, generator=generator)
    chosen = torch.rand(EXAMPLES, 6, generator=generator) < 0.4
    mask = torch.ones_like(chosen)
    torch.manual_seed(0)
    model = Selector(SelectorConfig(hidden_dims=(16,), out_dim=8), "img+text", image_dim=5, text_dim=5)

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        kernel = model(profiles[numbers], images[numbers], mask[numbers])
        value = -set_log_likelihood(kernel, chosen[numbers], mask[numbers]).mean()
        return value * (float("nan") if bad in numbers else 1.0), {}

    def validate(model: nn.Module) -> dict[str, float]:
        value, _ = loss(model, np.arange(EXAMPLES))
        return {"val_loss": float(value)}

    losses: list[float] = []
    task = Task(model, loss, validate, lambda _, folder: model.save_pretrained(folder), EXAMPLES)
    fit(task, config, Session(lambda metrics, _: losses.append(metrics["val_loss"])))
    return model, losses


def _rank(rank: int, world_size: int, folder: str) -> None:
    """All trainings one after the other: to start a process takes longer than they do."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size)
    try:
        for number, config in enumerate(CONFIGS):
            model, losses = _train(config, world_size)
            torch.save({"weights": model.state_dict(), "losses": losses}, f"{folder}/{number}-rank{rank}.pt")
        try:
            _train(LoopConfig(epochs=2, batch_size=8, lr=1e-3), world_size, bad=20)
        except LossError as error:
            Path(folder, f"rank{rank}.json").write_text(json.dumps([error.epoch, error.step, error.examples]))
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the two ranks came to."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(_rank, args=(2, str(folder)), nprocs=2)
    return folder


def test_a_loss_that_is_no_number_on_one_rank_stops_both(folder: Path) -> None:
    told = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert told[0][:2] == told[1][:2] and told[0][0] == 0
    assert (20 in told[0][2]) != (20 in told[1][2])


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_two_processes_end_where_one_does(folder: Path, number: int) -> None:
    alone, losses = _train(replace(CONFIGS[number], accumulate=1), 1)
    ranks = [torch.load(folder / f"{number}-rank{rank}.pt", weights_only=True) for rank in range(2)]
    torch.manual_seed(0)
    initial = Selector(SelectorConfig(hidden_dims=(16,), out_dim=8), "img+text", 5, 5).state_dict()
    for name, tensor in alone.state_dict().items():
        assert torch.equal(ranks[0]["weights"][name], ranks[1]["weights"][name]), name
        assert torch.allclose(ranks[0]["weights"][name], tensor, atol=1e-5), name
    assert not torch.allclose(initial["user_tower.layers.0.weight"], alone.state_dict()["user_tower.layers.0.weight"])
    assert ranks[0]["losses"] == pytest.approx(losses, abs=1e-4)
    assert losses[-1] < losses[0]
