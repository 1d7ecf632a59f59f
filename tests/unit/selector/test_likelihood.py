"""The batched likelihood against determinants taken one by one, and against the sum over all subsets."""

import itertools

import numpy as np
import pytest
import torch

from showcases.selector.kernel import deep_kernel
from showcases.selector.likelihood import JITTER, log_det, set_log_likelihood


def _psd(batch: int, size: int, seed: int = 0) -> torch.Tensor:
    factor = torch.randn(batch, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return factor @ factor.transpose(1, 2) / size + 0.05 * torch.eye(size, dtype=torch.float64)


def _literal(kernel: torch.Tensor, items: list[int]) -> float:
    matrix = kernel.detach().numpy().astype(np.float64)
    top = np.linalg.slogdet(matrix[np.ix_(items, items)])[1] if items else 0.0
    return float(top - np.linalg.slogdet(matrix + np.eye(len(matrix)))[1])


def test_equals_determinants_one_by_one() -> None:
    kernel = _psd(40, 9)
    chosen = torch.rand(40, 9, generator=torch.Generator().manual_seed(1)) < 0.4
    chosen[0] = False  # the empty set
    chosen[1] = True  # all of them
    ours = set_log_likelihood(kernel, chosen)
    for row in range(40):
        items = chosen[row].nonzero().flatten().tolist()
        assert ours[row].item() == pytest.approx(_literal(kernel[row], items), abs=1e-10)


@pytest.mark.parametrize("jitter", [0.0, JITTER])
def test_probabilities_of_all_subsets_sum_to_one(jitter: float) -> None:
    kernel = _psd(1, 6)
    subsets = torch.tensor(list(itertools.product([False, True], repeat=6)))
    logs = set_log_likelihood(kernel.expand(64, 6, 6), subsets, jitter=jitter)
    assert (logs <= 0).all()
    assert logs.exp().sum().item() == pytest.approx(1.0, abs=1e-9)  # jitter is in both terms


def test_gradient_equals_finite_differences() -> None:
    factor = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    chosen = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], dtype=torch.bool)

    def loss(factor: torch.Tensor) -> torch.Tensor:
        return set_log_likelihood(factor @ factor.transpose(1, 2), chosen, mask, JITTER)

    assert torch.autograd.gradcheck(loss, factor)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    generator = torch.Generator().manual_seed(3)
    sizes, targets = (2, 7, 4), ([1], [0, 3, 6], [0, 1, 2, 3])
    relevance = [torch.rand(size, generator=generator, dtype=torch.float64) + 0.2 for size in sizes]
    images = [torch.randn(size, 3, generator=generator, dtype=torch.float64) for size in sizes]
    alone = []
    for q, g, items in zip(relevance, images, targets, strict=True):
        q, g = q.clone().requires_grad_(), g.clone().requires_grad_()
        chosen = torch.zeros(1, len(q), dtype=torch.bool)
        chosen[0, items] = True
        kernel = deep_kernel(q[None], g[None], torch.ones_like(chosen), 0.01)
        set_log_likelihood(kernel, chosen).sum().backward()
        assert q.grad is not None and g.grad is not None
        alone.append((set_log_likelihood(kernel.detach(), chosen).item(), q.grad, g.grad))
    q = torch.full((3, 11), 7.0, dtype=torch.float64)
    g = torch.randn(3, 11, 3, generator=generator, dtype=torch.float64)  # padding holds rubbish
    mask, chosen = torch.zeros(3, 11, dtype=torch.bool), torch.zeros(3, 11, dtype=torch.bool)
    for row, size in enumerate(sizes):
        q[row, :size], g[row, :size], mask[row, :size] = relevance[row], images[row], True
        chosen[row, targets[row]] = True
    q.requires_grad_()
    g.requires_grad_()
    together = set_log_likelihood(deep_kernel(q, g, mask, 0.01), chosen, mask)
    together.sum().backward()
    assert q.grad is not None and g.grad is not None
    for row, (size, (value, q_grad, g_grad)) in enumerate(zip(sizes, alone, strict=True)):
        assert together[row].item() == pytest.approx(value, abs=1e-12)
        assert torch.allclose(q.grad[row, :size], q_grad, atol=1e-12)
        assert torch.allclose(g.grad[row, :size], g_grad, atol=1e-12)
        assert not q.grad[row, size:].any() and not g.grad[row, size:].any()


@pytest.mark.parametrize("size", [1, 2, 75, 400])
@pytest.mark.parametrize("delta", [0.0, 0.01])
def test_exact_duplicates_stay_finite_in_float32(size: int, delta: float) -> None:
    """The worst case: all photos are the same one, the user posted ten of them, relevance is as large as can be."""
    relevance = torch.full((2, size), float(np.exp(4.0)), requires_grad=True)
    images = torch.ones(2, size, 512)
    chosen = torch.zeros(2, size, dtype=torch.bool)
    chosen[:, : min(10, size)] = True
    mask = torch.ones_like(chosen)
    value = set_log_likelihood(deep_kernel(relevance, images, mask, delta), chosen, mask, JITTER)
    value.sum().backward()
    assert relevance.grad is not None
    assert torch.isfinite(value).all() and (value <= 0).all()
    assert torch.isfinite(relevance.grad).all()


def test_float32_agrees_with_float64_on_near_duplicates() -> None:
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(8, 1, 64, generator=generator) + 0.02 * torch.randn(8, 60, 64, generator=generator)
    relevance = torch.rand(8, 60, generator=generator) * 3
    mask, chosen = torch.ones(8, 60, dtype=torch.bool), torch.zeros(8, 60, dtype=torch.bool)
    chosen[:, :5] = True
    single = set_log_likelihood(deep_kernel(relevance, images, mask, 0.01), chosen)
    double = set_log_likelihood(deep_kernel(relevance.double(), images.double(), mask, 0.01), chosen)
    assert torch.allclose(single.double(), double, rtol=1e-3)


def test_what_is_not_positive_definite_is_nan_and_not_a_number() -> None:
    matrix = torch.stack([torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])])
    value = log_det(matrix)
    assert value[0].item() == 0.0
    assert torch.isnan(value[1])


def test_is_exact_by_default_for_a_set_of_duplicates() -> None:
    """A jitter of 1e-5, which training asks for, moves this one by more than a nat."""
    images = torch.nn.functional.normalize(torch.ones(1, 12, 8, dtype=torch.float64), dim=-1)
    kernel = deep_kernel(torch.full((1, 12), 20.0, dtype=torch.float64), images, delta=0.001)
    chosen = torch.arange(12)[None] < 4
    assert set_log_likelihood(kernel, chosen).item() == pytest.approx(_literal(kernel[0], [0, 1, 2, 3]), abs=1e-6)
    assert abs(set_log_likelihood(kernel, chosen, jitter=JITTER).item() - _literal(kernel[0], [0, 1, 2, 3])) > 1


def test_a_set_that_cannot_be_drawn_has_probability_zero_and_no_kernel_has_none() -> None:
    twice = torch.ones(2, 2, dtype=torch.float64)  # two exact duplicates, no delta
    assert set_log_likelihood(twice, torch.tensor([True, True])).item() == -np.inf
    assert set_log_likelihood(twice, torch.tensor([True, False])).item() == pytest.approx(-np.log(3))
    for broken in (torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.tensor([[1.0, np.nan], [np.nan, 1.0]])):
        assert torch.isnan(set_log_likelihood(broken, torch.tensor([True, True])))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        set_log_likelihood(torch.eye(3), torch.ones(2, dtype=torch.bool))
