"""The kernels against their formulas written out element by element."""

import math

import pytest
import torch

from showcases.selector.kernel import cosines, deep_kernel, project_psd, rbf_kernel


def _batch(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    relevance = torch.rand(3, 5, generator=generator, dtype=dtype) + 0.1
    images = torch.randn(3, 5, 4, generator=generator, dtype=dtype)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    return relevance, images, mask


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def test_deep_kernel_is_the_formula() -> None:
    q, g, mask = _batch()
    kernel = deep_kernel(q, g, mask, 0.25)
    for b in range(3):
        for i in range(5):
            for j in range(5):
                real = bool(mask[b, i] and mask[b, j])
                expected = float(q[b, i] * q[b, j]) * _cosine(g[b, i], g[b, j]) + 0.25 * (i == j) if real else 0.0
                assert kernel[b, i, j].item() == pytest.approx(expected, abs=1e-12)


def test_rbf_kernel_is_the_formula() -> None:
    q, g, mask = _batch()
    kernel = rbf_kernel(q, g, mask, alpha=0.7, sigma=0.4)
    for b in range(3):
        for i in range(5):
            for j in range(5):
                likeness = 1.0 if i == j else 0.7 * math.exp(-(1 - _cosine(g[b, i], g[b, j])) / (2 * 0.4**2))
                expected = float(q[b, i] * q[b, j]) * likeness if mask[b, i] and mask[b, j] else 0.0
                assert kernel[b, i, j].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_rbf_kernel_is_positive_semi_definite(alpha: float) -> None:
    q, g, mask = _batch()
    values = torch.linalg.eigvalsh(rbf_kernel(q, g, mask, alpha, sigma=2.0))
    assert values.min() > -1e-12


def test_without_projection_a_large_alpha_would_not_be_positive_semi_definite() -> None:
    q, g, mask = _batch()
    ours = rbf_kernel(q, g, mask, alpha=3.0, sigma=2.0)
    raw = 3.0 * torch.exp((cosines(g, mask) - 1) / (2 * 2.0**2))
    raw.diagonal(dim1=1, dim2=2)[:] = 1.0
    raw = raw * torch.where(mask, q, 0.0)[:, :, None] * torch.where(mask, q, 0.0)[:, None, :]
    assert torch.linalg.eigvalsh(raw)[0].min() < -0.1  # so the test above tests something
    values, vectors = torch.linalg.eigh(raw[0])
    nearest = vectors @ values.clamp_min(0).diag() @ vectors.T
    assert torch.allclose(ours[0], nearest)


@pytest.mark.parametrize("form", ["deep", "rbf", "rbf-projected"])
def test_padding_leaves_the_normaliser_alone(form: str) -> None:
    q, g, mask = _batch()

    def kernel(q: torch.Tensor, g: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if form == "deep":
            return deep_kernel(q, g, mask, 0.1)
        return rbf_kernel(q, g, mask, 3.0 if form == "rbf-projected" else 0.9, 2.0)

    padded = torch.logdet(kernel(q, g, mask) + torch.eye(5, dtype=q.dtype))
    for b, size in enumerate((5, 3, 1)):
        alone = kernel(q[b : b + 1, :size], g[b : b + 1, :size], mask[b : b + 1, :size])
        assert padded[b].item() == pytest.approx(torch.logdet(alone[0] + torch.eye(size, dtype=q.dtype)).item())


def test_whatever_stands_in_padding_is_not_looked_at() -> None:
    q, g, mask = _batch()
    spoiled_q, spoiled_g = q.masked_fill(~mask, float("nan")), g.masked_fill(~mask[:, :, None], float("nan"))
    assert torch.equal(deep_kernel(spoiled_q, spoiled_g, mask, 0.1), deep_kernel(q, g, mask, 0.1))


def test_gradient_of_the_projection_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)
    symmetric = ((raw + raw.transpose(1, 2)) / 2).requires_grad_()
    assert torch.linalg.eigvalsh(symmetric).min() < 0 < torch.linalg.eigvalsh(symmetric).max()

    def through(matrix: torch.Tensor) -> torch.Tensor:
        return project_psd((matrix + matrix.transpose(1, 2)) / 2)

    assert torch.autograd.gradcheck(through, symmetric)


def test_gradient_of_the_projection_is_finite_for_repeated_eigenvalues() -> None:
    matrix = torch.zeros(1, 4, 4)
    matrix[0, 0, 0], matrix[0, 1, 1], matrix[0, 2, 2] = 2.0, 2.0, -1.0  # 2 twice, as duplicates and padding make
    matrix.requires_grad_()
    project_psd(matrix).square().sum().backward()
    assert matrix.grad is not None
    expected = torch.zeros(1, 4, 4)
    expected[0, 0, 0] = expected[0, 1, 1] = 4.0  # d (x^2) / dx at 2
    assert torch.allclose(matrix.grad, expected, atol=1e-6)
