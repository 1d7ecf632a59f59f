"""Linear layers by oneDNN for many rows: equal to torch's float32 product on a CPU, but often twice as fast.

torch uses MKL for float32 products, which uses only half of some processors' units.
"""

from typing import Any

import torch
from torch import Tensor

from showcases.compat import has_onednn, onednn_linear


def has_fast_linear(vectors: Tensor) -> bool:
    """Whether `fast_linear` supports these: float32 on a CPU, outside of autocast."""
    return vectors.dtype == torch.float32 and not torch.is_autocast_enabled("cpu") and has_onednn(vectors)


def fast_linear(vectors: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """(M, out) = vectors (M, in) @ weight (out, in).T + bias (out,), and its ReLU; differentiable once."""
    return _FastLinear.apply(vectors, weight, bias, relu)  # type: ignore[no-any-return]


class _FastLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        result = onednn_linear(vectors, weight, bias, "relu" if relu else "none")
        ctx.relu = relu
        ctx.save_for_backward(vectors, weight, result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        vectors, weight, result = ctx.saved_tensors
        if ctx.relu:
            grad = torch.ops.aten.threshold_backward(grad, result, 0)
        into_vectors = onednn_linear(grad, weight.T) if ctx.needs_input_grad[0] else None
        return into_vectors, onednn_linear(grad.T, vectors.T), grad.sum(0), None
