"""The towers' fast path against torch's own layers, in value and gradient."""

import pytest
import torch

from showcases.selector import towers
from showcases.selector.fast_linear import has_fast_linear
from showcases.selector.towers import Tower


@pytest.mark.parametrize("hidden_dims", [(), (24, 12)])
def test_tower_of_many_rows_is_the_tower(hidden_dims, monkeypatch) -> None:
    torch.manual_seed(0)
    tower, vectors = Tower(16, hidden_dims, 8), torch.randn(40, 16)
    weights = torch.randn(40, 8)

    def gradients(fast: bool, dtype: torch.dtype) -> list[torch.Tensor]:
        monkeypatch.setattr(towers, "MANY_ROWS", 1 if fast else 10**9)
        tower.to(dtype).zero_grad()
        leaf = vectors.to(dtype).requires_grad_()
        found = tower(leaf)
        (found * weights.to(dtype)).sum().backward()
        return [found.detach(), leaf.grad, *(parameter.grad.clone() for parameter in tower.parameters())]

    exact = gradients(False, torch.float64)
    for found, expected in zip(gradients(True, torch.float32), exact, strict=True):
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


def test_it_leaves_autocast_and_other_types_alone() -> None:
    assert not has_fast_linear(torch.zeros(2, 2, dtype=torch.float64))
    with torch.autocast("cpu", torch.bfloat16):
        assert not has_fast_linear(torch.zeros(2, 2))
