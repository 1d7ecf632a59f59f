"""Uses of dependencies beyond their public API, each with the reason and a test."""

import sys
from typing import Any, Literal

import torch
from torch import Tensor

from showcases.bfloat16 import has_fast_bfloat16

_AFTER: dict[str, tuple[str, list[Any], str]] = {
    "none": ("none", [], ""),
    "relu": ("relu", [], ""),
    "gelu": ("gelu", [], "tanh"),
}
_TORCHVISION_OPS = ("nms", "qnms")
_libraries: list[torch.library.Library] = []  # a registration lives as long as its Library object


def import_torchvision() -> None:
    """Import torchvision, also a build for CUDA beside a CPU-only torch; call it before open_clip, timm or GPT-2.

    Such a torchvision cannot load its C++ library and then fails while registering fake kernels for operators that
    were never defined, and whatever imports it fails too. Declaring these operators, without kernels, lets it import.
    Matching builds are imported normally; without torchvision this does nothing.
    """
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _libraries:
            raise
        library = torch.library.Library("torchvision", "DEF")
        for name in _TORCHVISION_OPS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # partially imported
        import torchvision  # noqa: F401


def has_onednn(vectors: Tensor) -> bool:
    """Whether `onednn_linear` takes vectors of this type and device; torch has no public API for oneDNN's product."""
    return (
        vectors.device.type == "cpu"
        and (vectors.dtype == torch.float32 or (vectors.dtype == torch.bfloat16 and has_fast_bfloat16("cpu")))
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def onednn_layout(weight: Tensor, rows: int) -> Tensor:
    """A weight (out, in) in oneDNN's layout, optimised for `onednn_linear` with about `rows` rows."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)  # type: ignore[no-any-return]


def onednn_linear(
    vectors: Tensor, weight: Tensor, bias: Tensor | None = None, after: Literal["none", "relu", "gelu"] = "none"
) -> Tensor:
    """vectors (..., in) @ weight (out, in).T + bias (out,) by oneDNN, with a fused activation; no gradient.

    torch uses MKL for float32 products, which is slower on some processors.

    Args:
        weight: plain, or of `onednn_layout`.
        after: gelu is its tanh approximation.
    """
    return torch.ops.mkldnn._linear_pointwise(vectors, weight, bias, *_AFTER[after])  # type: ignore[no-any-return]


def has_vnni() -> bool:
    """Whether the CPU sums products of 8-bit numbers in 32 bits (AVX512_VNNI)."""
    return torch.cpu._is_vnni_supported()


def version_of(tensor: Tensor) -> int:
    """The tensor's in-place modification counter from autograd."""
    return tensor._version


def limit_tokens(scorer: Any, most: int) -> None:
    """Make bert-score's BERTScorer truncate texts to `most` tokens: its tokenizer may have no limit."""
    tokenizer = scorer._tokenizer
    tokenizer.model_max_length = min(tokenizer.model_max_length, most)


def meteor_statistics(meteor: Any, text: str, reference: str) -> str:
    """METEOR's statistics of a pair of texts, as it prints them; pycocoevalcap's public API has only scores."""
    return str(meteor._stat(text, [reference]))
