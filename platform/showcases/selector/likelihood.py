"""How probable a set of photos is under the DPP: the selector's training loss.

Sets of different sizes share a batch; padding changes neither the loss nor a gradient.
"""

from typing import Any

import torch
from torch import Tensor

JITTER = 1e-5  # relative to each diagonal element; far above float32 rounding, far below any likeness that matters


def log_likelihood(kernel: Tensor, chosen: Tensor, mask: Tensor | None = None, jitter: float = JITTER) -> Tensor:
    """DPP log-likelihood of each chosen set, among all subsets of its candidates.

    The kernel's diagonal is first raised by the relative `jitter`, in both determinants alike: the result is the
    exact log-likelihood under that kernel, and finite for exact duplicates even where L itself is singular.

    Args:
        kernel: (B, N, N), symmetric positive semi-definite; the diagonal above 0 at chosen items.
        chosen: (B, N) bool; a row without True is the empty set.
        mask: (B, N) bool, True for real candidates; by default all are.
        jitter: at least 0.

    Returns:
        (B,) in nats, at most 0: log det L_Y - log det(L + I).

    Source: Kulesza & Taskar 2012, eq. 3; paper section 4.1.
    """
    if mask is not None:
        kernel = torch.where(mask[:, :, None] & mask[:, None, :], kernel, 0.0)
        chosen = chosen & mask
    kernel = kernel + torch.diag_embed(jitter * kernel.diagonal(dim1=1, dim2=2))
    identity = torch.eye(kernel.shape[1], dtype=kernel.dtype, device=kernel.device)
    return log_det(_submatrix(kernel, chosen)) - log_det(kernel + identity)


def log_det(matrix: Tensor) -> Tensor:
    """(B,) log-determinants of (B, N, N) symmetric positive definite matrices; NaN for those that are not.

    By Cholesky: half the work of LU, and it notices a matrix that is not positive definite. The gradient is the
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
