"""Two gloo processes with part of the batch each give the loss and the gradients of one with the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from showcases.training.gather import gather_rows, sum_over_workers

sys.path.insert(0, str(Path(__file__).parent))
import pc2l_worker as worker

SPLITS = {"even": [[0, 1, 2], [3, 4, 5]], "uneven": [[0, 2, 3, 4, 5], [1]]}
LOSSES = {
    "cl": {"image_loss": "cl", "text_loss": "cl"},
    "ccl": {"image_loss": "ccl", "text_loss": "none"},
    "pcl": {"image_loss": "none", "text_loss": "pcl"},
    "pc2l": {"image_loss": "ccl", "text_loss": "pcl"},
}


def heads_inputs() -> dict[str, object]:
    """Hidden states of six examples, one without a hard negative, one without past reviews."""
    torch.manual_seed(1)

    def modality(length: int) -> tuple[torch.Tensor, torch.Tensor]:
        mask = torch.arange(length) < torch.randint(1, length + 1, (6, 1))
        return torch.randn(6, length, worker.WIDTH), mask

    return {
        "images": modality(2),
        "reviews": modality(3),
        "texts": modality(5),
        "hard": modality(5),
        "has_hard": torch.tensor([True, True, False, True, True, True]),
        "users": torch.randn(6, worker.DIM),
        "has_reviews": torch.tensor([True, False, True, True, True, True]),
    }


def batch_inputs() -> dict[str, torch.Tensor]:
    """A batch of six texts of very different lengths, so that workers hold different numbers of tokens."""
    torch.manual_seed(2)
    lengths = torch.tensor([7, 1, 2, 4, 1, 3])[:, None]
    places = torch.arange(8)
    tokens = torch.randint(1, 250, (6, 8)) * ((places >= 1) & (places <= lengths))
    targets = torch.cat([tokens[:, 1:], torch.zeros(6, 1, dtype=torch.long)], dim=1)
    return {
        "images": torch.randn(6, 2, worker.DIM),
        "image_mask": torch.tensor([[True, True], [True, False]] * 3),
        "reviews": torch.randn(6, 2, worker.DIM),
        "review_mask": torch.tensor([[True, True], [False, False], [True, False]] * 2),
        "users": torch.randn(6, worker.DIM),
        "tokens": tokens,
        "targets": targets.masked_fill(places > lengths, -100),
        "text_mask": (places >= 1) & (places <= lengths),
        "hard_tokens": torch.where(tokens > 0, (tokens + 5) % 250 + 1, 0),
        "hard_mask": (places >= 1) & (places <= lengths),
        "has_hard": torch.tensor([True, False, True, True, True, True]),
    }


def cases() -> dict[str, dict[str, object]]:
    """Every loss with an even and an uneven split; the last is the whole model."""
    return {
        f"{losses}-{split}": {
            "kind": "objective" if losses == "pc2l" else "heads",
            "losses": LOSSES[losses],
            "inputs": batch_inputs() if losses == "pc2l" else heads_inputs(),
            "parts": parts,
        }
        for losses in LOSSES
        for split, parts in SPLITS.items()
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What two processes found, by case; started once, as imports take most of the time."""
    folder = tmp_path_factory.mktemp("pc2l")
    torch.save(cases(), folder / "cases.pt")
    script = Path(worker.__file__)
    platform = script.parents[2] / "platform"
    environment = os.environ | {"PYTHONPATH": str(platform), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen([sys.executable, str(script), str(rank), "2", str(folder)], env=environment) for rank in (0, 1)
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    return [torch.load(folder / f"result-{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", cases())
def test_loss_and_gradients_are_those_of_one_worker_with_the_whole_batch(results, name):
    case = cases()[name]
    if case["kind"] == "objective":
        single = worker.objective(case["losses"])
        loss = worker.objective_loss(single, case["inputs"])
    else:
        single = worker.heads(case["losses"])
        loss = worker.heads_loss(single, case["inputs"])
    loss.backward()
    found = [result[name] for result in results]
    sizes = [len(part) for part in case["parts"]]
    together = sum(size * result["loss"] for size, result in zip(sizes, found, strict=True)) / sum(sizes)
    torch.testing.assert_close(together, loss.detach(), rtol=0, atol=1e-5)
    for parameter, gradient in worker.gradients(single).items():
        assert gradient.abs().max() > 0 or "bias" in parameter or "nothing" in parameter
        for result in found:  # DistributedDataParallel leaves the same on both
            torch.testing.assert_close(result["gradients"][parameter], gradient, rtol=0, atol=1e-5, msg=parameter)


def test_without_a_process_group_it_is_the_identity():
    rows = torch.randn(3, 2, requires_grad=True)
    gathered, first = gather_rows(rows)
    assert gathered is rows and first == 0
    assert sum_over_workers(torch.tensor([2, 3])).tolist() == [2, 3]
