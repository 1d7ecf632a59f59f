"""Fast greedy MAP of a DPP, many sets at once: adds the photo that increases det L_Y most, one at a time.

Cholesky rows are updated instead of taking determinants: O(N k^2) per set instead of O(N k^4).
"""

import torch
from torch import Tensor

from showcases.arrays import numpy_or_tensors


@numpy_or_tensors
def greedy_map(kernel: Tensor, mask: Tensor | None = None, k: int = 3, rtol: float | None = None) -> Tensor:
    """Greedy maximum of det L_Y over sets of k items.

    Stops before k if the remaining items are in the span of the chosen ones: every longer set has determinant 0. An
    item is in the span if its residual is below `rtol` times its diagonal element, a test that is invariant to the
    scale of the kernel and of each item's relevance.

    Args:
        kernel: (..., N, N), symmetric positive semi-definite.
        mask: (..., N) bool, True for real candidates; by default all are.
        k: items to choose, at least 1; may exceed N.
        rtol: relative tolerance; by default 100 times the machine epsilon of the kernel's type.

    Returns:
        (..., k) long, item indices in order of selection, -1 where no item is left. Ties go to the lowest index. A
        tensor, on the kernel's device, or an array like the arguments.

    Raises:
        ValueError: the shapes do not fit, or k is below 1.

    Source: Chen et al. 2018, algorithm 1.
    """
    mask = kernel.new_ones(kernel.shape[:-1], dtype=torch.bool) if mask is None else mask
    if not (kernel.shape[:-1] == mask.shape and kernel.shape[-1] == kernel.shape[-2]):
        raise ValueError(
            f"kernel {tuple(kernel.shape)} and mask {tuple(mask.shape)} do not fit: (..., N, N) and (..., N) are needed"
        )
    if k < 1:
        raise ValueError(f"k is {k}; at least one item must be chosen")
    size = kernel.shape[-1]
    chosen = _greedy_map(kernel.reshape(-1, size, size), mask.reshape(-1, size), k, rtol)
    return chosen.reshape(*mask.shape[:-1], k)


def _greedy_map(kernel: Tensor, mask: Tensor, k: int, rtol: float | None) -> Tensor:
    """(B, k) of kernels (B, N, N)."""
    batch, size, _ = kernel.shape
    result = torch.full((batch, k), -1, dtype=torch.long, device=kernel.device)
    rtol = 100 * torch.finfo(kernel.dtype).eps if rtol is None else rtol
    row = torch.arange(batch, device=kernel.device)
    steps = min(k, size)
    c = kernel.new_zeros(batch, steps, size)  # c[:, t]: row t of the Cholesky factor, over all items
    gain = kernel.diagonal(dim1=1, dim2=2).clone()  # (B, N) d_i^2: factor of the determinant if item i is added
    tolerance = rtol * gain  # (B, N)
    open_ = mask.clone()
    for step in range(steps):
        open_ &= gain > tolerance
        best = gain.masked_fill(~open_, -torch.inf).argmax(1)  # (B,)
        alive = open_[row, best]
        result[:, step] = torch.where(alive, best, -1)
        if step + 1 == steps or not bool(alive.any()):
            break
        root = torch.where(alive, gain[row, best], 1.0).sqrt()
        known = torch.einsum("bt,btn->bn", c[row, :step, best], c[:, :step])
        update = (kernel[row, best] - known) / root[:, None]  # (B, N)
        c[:, step] = update
        gain = gain - update.square()
        open_[row, best] = False
    return result
