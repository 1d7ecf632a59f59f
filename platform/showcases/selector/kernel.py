"""The two kernels of the selector: combine relevance q and similarity of photos in a positive semi-definite matrix.

Padded photos get rows and columns of zeros, so that they don't change det(L + I).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.arrays import numpy_or_tensors


@numpy_or_tensors
def deep_kernel(relevance: Tensor, images: Tensor, mask: Tensor | None = None, delta: float = 0.001) -> Tensor:
    """L_ij = q_i (g_i . g_j) q_j + delta 1[i = j], positive semi-definite by construction.

    Args:
        relevance: (..., N) q, above 0.
        images: (..., N, D) of any length above 0; g is the unit vector.
        mask: (..., N) bool, True for real photos; by default all are.
        delta: at least 0; above 0 every set has a positive probability, exact duplicates too.

    Returns:
        (..., N, N), a tensor or an array like the arguments.

    Raises:
        ValueError: the shapes do not fit, or delta is below 0.

    Source: paper section 4.1; Wilhelm et al. 2018, section 4.2.
    """
    mask = _checked(relevance, images, mask)
    if delta < 0:
        raise ValueError(f"delta is {delta}; it must be at least 0")
    quality = torch.where(mask, relevance, 0.0)  # (..., N)
    kernel = cosines(images, mask) * (quality[..., :, None] * quality[..., None, :])  # (..., N, N)
    return kernel + torch.diag_embed(delta * mask.to(kernel.dtype))


@numpy_or_tensors
def rbf_kernel(
    relevance: Tensor, images: Tensor, mask: Tensor | None = None, alpha: float = 0.9, sigma: float = 0.5
) -> Tensor:
    """L_ii = q_i^2, L_ij = alpha q_i q_j exp(-D_ij / 2 sigma^2), D_ij = 1 - cosine, projected to the PSD cone.

    For alpha <= 1 this is alpha times a Gaussian kernel plus a non-negative diagonal, so there is nothing to project.

    Args:
        relevance: (..., N) q, above 0.
        images: (..., N, D) of any length above 0.
        mask: (..., N) bool, True for real photos; by default all are.
        alpha: above 0.
        sigma: above 0.

    Returns:
        (..., N, N), positive semi-definite up to rounding; a tensor or an array like the arguments.

    Raises:
        ValueError: the shapes do not fit, or alpha or sigma is not above 0.

    Source: Wilhelm et al. 2018, eq. 12 and section 4.2.
    """
    mask = _checked(relevance, images, mask)
    if not (alpha > 0 and sigma > 0):
        raise ValueError(f"alpha is {alpha} and sigma {sigma}; both must be above 0")
    quality = torch.where(mask, relevance, 0.0)  # (..., N)
    similarity = alpha * torch.exp((cosines(images, mask) - 1) / (2 * sigma**2))  # (..., N, N)
    diagonal = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    kernel = similarity.masked_fill(diagonal, 1.0) * (quality[..., :, None] * quality[..., None, :])
    return project_psd(kernel) if alpha > 1 else kernel


def cosines(images: Tensor, mask: Tensor) -> Tensor:
    """(..., N, N) cosines of all pairs; 0 for pairs with a padded photo."""
    unit = F.normalize(images.masked_fill(~mask[..., None], 0.0), dim=-1)
    return unit @ unit.mT


def _checked(relevance: Tensor, images: Tensor, mask: Tensor | None) -> Tensor:
    """Check shapes; returns the mask of real photos, (..., N) bool."""
    mask = torch.ones_like(relevance, dtype=torch.bool) if mask is None else mask
    if not relevance.shape == images.shape[:-1] == mask.shape:
        raise ValueError(
            f"relevance {tuple(relevance.shape)}, images {tuple(images.shape)}, mask {tuple(mask.shape)} do not fit: "
            "(..., N), (..., N, D) and (..., N) are needed"
        )
    return mask


def project_psd(matrix: Tensor) -> Tensor:
    """The nearest positive semi-definite matrix (Frobenius): negative eigenvalues become 0.

    Args:
        matrix: (..., N, N), symmetric.

    Returns:
        (..., N, N). Its gradient is exact also for repeated eigenvalues, such as the zeros of padding, where that of
        torch.linalg.eigh is not finite.

    Source: Higham 1988; derivative by divided differences, Bhatia, Matrix Analysis, theorem V.3.3.
    """
    return _ProjectPSD.apply(matrix)  # type: ignore[no-any-return]


class _ProjectPSD(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        ctx.save_for_backward(values, vectors)
        return (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        values, vectors = ctx.saved_tensors
        positive = values.clamp_min(0)
        rise = positive[..., :, None] - positive[..., None, :]  # f(a) - f(b), f = max(., 0)
        run = values[..., :, None] - values[..., None, :]
        is_positive = values > 0
        both = (is_positive[..., :, None] & is_positive[..., None, :]).to(grad.dtype)
        mixed = is_positive[..., :, None] != is_positive[..., None, :]
        slope = torch.where(mixed, rise / torch.where(mixed, run, 1.0), both)
        symmetric = (grad + grad.mT) / 2
        inner = slope * (vectors.mT @ symmetric @ vectors)
        return vectors @ inner @ vectors.mT
