"""The two kernels of the selector: how relevance q and likeness of photos make one positive semi-definite matrix.

Padded photos get rows and columns of zeros, so that det(L + I) is what it is without them.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def deep_kernel(relevance: Tensor, images: Tensor, mask: Tensor, delta: float) -> Tensor:
    """L_ij = q_i (g_i . g_j) q_j + delta 1[i = j], positive semi-definite by construction.

    Args:
        relevance: (B, N) q, above 0.
        images: (B, N, D) of any length above 0; g is the unit vector.
        mask: (B, N) bool, True for real photos.
        delta: at least 0; above 0 every set has a positive probability, exact duplicates too.

    Returns:
        (B, N, N).

    Source: paper section 4.1; Wilhelm et al. 2018, section 4.2.
    """
    quality = torch.where(mask, relevance, 0.0)  # (B, N)
    kernel = cosines(images, mask) * (quality[:, :, None] * quality[:, None, :])  # (B, N, N)
    return kernel + torch.diag_embed(delta * mask.to(kernel.dtype))


def rbf_kernel(relevance: Tensor, images: Tensor, mask: Tensor, alpha: float, sigma: float) -> Tensor:
    """L_ii = q_i^2, L_ij = alpha q_i q_j exp(-D_ij / 2 sigma^2), D_ij = 1 - cosine, projected to the PSD cone.

    For alpha <= 1 this is alpha times a Gaussian kernel plus a non-negative diagonal, so nothing is to project.

    Args:
        relevance: (B, N) q, above 0.
        images: (B, N, D) of any length above 0.
        mask: (B, N) bool, True for real photos.
        alpha: above 0.
        sigma: above 0.

    Returns:
        (B, N, N), positive semi-definite up to rounding.

    Source: Wilhelm et al. 2018, eq. 12 and section 4.2.
    """
    quality = torch.where(mask, relevance, 0.0)  # (B, N)
    likeness = alpha * torch.exp((cosines(images, mask) - 1) / (2 * sigma**2))  # (B, N, N)
    own = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    kernel = likeness.masked_fill(own, 1.0) * (quality[:, :, None] * quality[:, None, :])
    return project_psd(kernel) if alpha > 1 else kernel


def cosines(images: Tensor, mask: Tensor) -> Tensor:
    """(B, N, N) cosines of all pairs; 0 wherever a padded photo takes part."""
    unit = F.normalize(images.masked_fill(~mask[:, :, None], 0.0), dim=-1)
    return unit @ unit.transpose(1, 2)


def project_psd(matrix: Tensor) -> Tensor:
    """The nearest positive semi-definite matrix (Frobenius): negative eigenvalues become 0.

    Args:
        matrix: (B, N, N), symmetric.

    Returns:
        (B, N, N). Its gradient is exact also for repeated eigenvalues, such as the zeros of padding, where that of
        torch.linalg.eigh is not finite.

    Source: Higham 1988; derivative by divided differences, Bhatia, Matrix Analysis, theorem V.3.3.
    """
    return _ProjectPSD.apply(matrix)  # type: ignore[no-any-return]


class _ProjectPSD(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        ctx.save_for_backward(values, vectors)
        return (vectors * values.clamp_min(0)[:, None, :]) @ vectors.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        values, vectors = ctx.saved_tensors
        positive = values.clamp_min(0)
        rise = positive[:, :, None] - positive[:, None, :]  # f(a) - f(b), f = max(., 0)
        run = values[:, :, None] - values[:, None, :]
        both = ((values > 0)[:, :, None] & (values > 0)[:, None, :]).to(grad.dtype)
        mixed = (values > 0)[:, :, None] != (values > 0)[:, None, :]
        slope = torch.where(mixed, rise / torch.where(mixed, run, 1.0), both)
        symmetric = (grad + grad.transpose(1, 2)) / 2
        inner = slope * (vectors.transpose(1, 2) @ symmetric @ vectors)
        return vectors @ inner @ vectors.transpose(1, 2)
