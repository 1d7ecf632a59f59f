"""Likelihood of a set of photos under the DPP: the selector's training loss.

Sets of different sizes share a batch; padding changes neither the loss nor a gradient.
"""

from typing import Any

import torch
from torch import Tensor

from showcases.arrays import numpy_or_tensors

JITTER = 1e-5  # in training; far above float32 rounding, far below any relevant similarity


@numpy_or_tensors
def set_log_likelihood(kernel: Tensor, chosen: Tensor, mask: Tensor | None = None, jitter: float = 0.0) -> Tensor:
    """DPP log-likelihood of a chosen set among all subsets of its candidates: log det L_Y - log det(L + I).

    Args:
        kernel: (..., N, N), symmetric positive semi-definite.
        chosen: (..., N) bool; without a True it is the empty set.
        mask: (..., N) bool, True for real candidates; by default all are.
        jitter: at least 0; relative increase of each diagonal element, in both determinants. By default the result is
            exact. Training uses 1e-5, which keeps float32 values and gradients finite for sets of exact duplicates,
            but changes the value of such a set by up to a few nats.

    Returns:
        (...) in nats, at most 0; -inf for a set that the DPP can't draw (L_Y is singular), NaN if the kernel is not
            positive semi-definite. A tensor or an array like the arguments.

    Raises:
        ValueError: the shapes do not fit, or jitter is below 0.

    Source: Kulesza & Taskar 2012, eq. 3; paper section 4.1.
    """
    mask = torch.ones_like(chosen) if mask is None else mask
    if not (kernel.shape[:-1] == chosen.shape == mask.shape and kernel.shape[-1] == kernel.shape[-2]):
        raise ValueError(
            f"kernel {tuple(kernel.shape)}, chosen {tuple(chosen.shape)} and mask {tuple(mask.shape)} do not fit: "
            "(..., N, N), (..., N) and (..., N) are needed"
        )
    if jitter < 0:
        raise ValueError(f"jitter is {jitter}; it must be at least 0")
    size = kernel.shape[-1]
    flat, real = kernel.reshape(-1, size, size), mask.reshape(-1, size)
    flat = torch.where(real[:, :, None] & real[:, None, :], flat, 0.0)
    flat = flat + torch.diag_embed(jitter * flat.diagonal(dim1=1, dim2=2))
    identity = torch.eye(size, dtype=flat.dtype, device=flat.device)
    selected = _submatrix(flat, chosen.reshape(-1, size) & real)
    top = log_det(selected) if jitter else _log_det_of_semidefinite(selected)
    return (top - log_det(flat + identity)).reshape(chosen.shape[:-1])


def _log_det_of_semidefinite(matrix: Tensor) -> Tensor:
    """(B,) as `log_det`, but -inf if a matrix is singular up to rounding."""
    value = log_det(matrix)
    failed = value.isnan()
    if not bool(failed.any()):
        return value
    eigenvalues = torch.linalg.eigvalsh(matrix.detach()[failed].nan_to_num())
    tolerance = 10 * matrix.shape[1] * torch.finfo(matrix.dtype).eps * eigenvalues[:, -1].clamp_min(0)
    singular = (eigenvalues[:, 0] >= -tolerance) & matrix.detach()[failed].isfinite().all((1, 2))
    return value.masked_scatter(failed, torch.where(singular, -torch.inf, torch.nan).to(value.dtype))


def log_det(matrix: Tensor) -> Tensor:
    """(B,) log-determinants of (B, N, N) symmetric positive definite matrices; NaN for those that are not.

    By Cholesky: half the work of LU, and it detects matrices that are not positive definite. The gradient is the
    inverse, from the same factor; differentiable once.
    """
    return _LogDet.apply(matrix)  # type: ignore[no-any-return]


class _LogDet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        factor, failed = torch.linalg.cholesky_ex(matrix)
        ctx.save_for_backward(factor)
        diagonal = factor.diagonal(dim1=1, dim2=2)
        return torch.where(failed == 0, 2 * diagonal.log().sum(1), float("nan"))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (factor,) = ctx.saved_tensors
        return grad[:, None, None] * torch.cholesky_inverse(factor)


def _submatrix(kernel: Tensor, chosen: Tensor) -> Tensor:
    """(B, Y, Y) rows and columns of the chosen items; rows with fewer than Y of them end in an identity block."""
    size = max(1, int(chosen.sum(1).max()))
    items = chosen.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :size]  # (B, Y)
    real = chosen.gather(1, items)  # (B, Y)
    rows = kernel.gather(1, items[:, :, None].expand(-1, -1, kernel.shape[2]))  # (B, Y, N)
    block = rows.gather(2, items[:, None, :].expand(-1, size, -1))  # (B, Y, Y)
    identity = torch.eye(size, dtype=kernel.dtype, device=kernel.device)
    return torch.where(real[:, :, None] & real[:, None, :], block, identity)
