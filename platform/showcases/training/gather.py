"""All-gather with gradient, so that a loss over all workers' batches equals that of one worker with the whole batch.

Without torch.distributed there is one worker and everything is the identity.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def gather_rows(rows: Tensor) -> tuple[Tensor, int]:
    """Rows of all workers, in the order of their ranks; their number may differ between workers.

    The gradient of every worker's loss by a row reaches the row's owner as their sum. DistributedDataParallel then
    averages over workers, so each worker's loss must be the sum over its own examples x workers / global batch size
    to give the gradient of the mean over the global batch; `training.fit` scales it so.

    Args:
        rows: (n, d).

    Returns:
        (N, d), and the index of this worker's first row in it.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows, 0
    counts = _counts(len(rows), rows.device)
    first = sum(counts[: dist.get_rank()])
    return _GatherRows.apply(rows, counts, first), first


def sum_over_workers(value: Tensor) -> Tensor:
    """Sum of a tensor over all workers, without gradient."""
    total = value.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], first: int) -> Tensor:
        ctx.own = slice(first, first + len(rows))
        padded = rows.new_zeros(max(counts), *rows.shape[1:])  # all_gather needs equal shapes
        padded[: len(rows)] = rows
        received = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(received, padded)
        return torch.cat([part[:count] for part, count in zip(received, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.own], None, None


def _counts(own: int, device: torch.device) -> list[int]:
    received = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(dist.get_world_size())]
    dist.all_gather(received, torch.tensor([own], device=device))
    return [int(count) for count in received]
