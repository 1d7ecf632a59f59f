"""Fast greedy MAP of a DPP, many sets at once: picks photos one by one, each the one that raises det L_Y most.

Cholesky rows are updated instead of taking determinants: O(N k^2) a set instead of O(N k^4).
"""

import torch
from torch import Tensor


def greedy_map(kernel: Tensor, mask: Tensor, k: int, rtol: float | None = None) -> Tensor:
    """Greedy maximum of det L_Y over sets of k items.

    Stops before k where what is left lies in the span of what is chosen: every longer set has determinant 0. An
    item counts as spent when its residual falls below `rtol` of its own diagonal element, which no scale of the
    kernel, nor of a single item's relevance, can upset.

    Args:
        kernel: (B, N, N), symmetric positive semi-definite.
        mask: (B, N) bool, True for real candidates.
        k: items to choose, at least 1; may exceed N.
        rtol: relative tolerance; by default 100 times the machine epsilon of the kernel's type.

    Returns:
        (B, k) long, item numbers in the order of choice, -1 where nothing is left. Ties go to the lowest number.

    Source: Chen et al. 2018, algorithm 1.
    """
    batch, size, _ = kernel.shape
    result = torch.full((batch, k), -1, dtype=torch.long, device=kernel.device)
    rtol = 100 * torch.finfo(kernel.dtype).eps if rtol is None else rtol
    row = torch.arange(batch, device=kernel.device)
    steps = min(k, size)
    c = kernel.new_zeros(batch, steps, size)  # c[:, t]: row t of the Cholesky factor, over all items
    gain = kernel.diagonal(dim1=1, dim2=2).clone()  # (B, N) d_i^2: what item i would multiply the determinant by
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
