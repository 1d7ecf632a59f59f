"""Linear layers of many rows by oneDNN: the sums of torch's own float32 product on a CPU, often at twice its speed.

torch hands float32 products to MKL, which leaves half of some processors unused.
"""

from typing import Any

import torch
from torch import Tensor


def has_fast_linear(vectors: Tensor) -> bool:
    """Whether `fast_linear` takes them: float32 on a CPU, outside of autocast."""
    return (
        vectors.device.type == "cpu"
        and vectors.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def fast_linear(vectors: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """(M, out) = vectors (M, in) @ weight (out, in).T + bias (out,), and its ReLU; differentiable once."""
    return _FastLinear.apply(vectors, weight, bias, relu)  # type: ignore[no-any-return]


class _FastLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        result = _product(vectors, weight, bias, "relu" if relu else "none")
        ctx.relu = relu
        ctx.save_for_backward(vectors, weight, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        vectors, weight, result = ctx.saved_tensors
        if ctx.relu:
            grad = torch.ops.aten.threshold_backward(grad, result, 0)
        into_vectors = _product(grad, weight.T) if ctx.needs_input_grad[0] else None
        return into_vectors, _product(grad.T, vectors.T), grad.sum(0), None


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None, after: str = "none") -> Tensor:
    """left @ right.T + bias."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, after, [], "")  # type: ignore[no-any-return]
