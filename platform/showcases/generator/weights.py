"""Decoder weights for inference: packed once for the few rows of a step, in the requested precision.

A step has one row per text, so it is bound by the bandwidth of reading the weights, 124 M in GPT-2 small. oneDNN's
packed layout reads twice as fast as torch's matrix product; bfloat16 halves the bytes and int8 quarters them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.compat import has_onednn, has_vnni, onednn_layout, onednn_linear, version_of
from showcases.errors import ConfigError
from showcases.generator.config import Precision

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

Map = Callable[[Tensor], Tensor]  # (..., width of the input) -> (..., width of the output)

ROWS = 16  # the layout is optimised for this many; others work too
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")  # one formula, two names


@dataclass(frozen=True)
class BlockMaps:
    """The maps of one block, in order of use; `encoded` once per text, the rest once per token."""

    encoded: Map  # keys and values of the cross-attention
    own_norm: Map
    own_in: Map  # query, key, value
    own_out: Map
    cross_norm: Map
    cross_in: Map  # query
    cross_out: Map
    norm: Map
    up: Map  # and the activation
    down: Map
    own_scale: float
    cross_scale: float


class DecoderMaps:
    """All computations of one step except attention.

    Args:
        decoder: GPT-2 with cross-attention in every block.
        precision: float32 uses the weights unchanged, whatever their type. bfloat16 rounds the weights, inputs and
            results of matrix products. int8 rounds weights to 8 bits with one scale per output, and inputs to 8 bits
            with one scale per call, so results depend slightly on the rest of the batch. Norms, attention and residual
            sums stay in the decoder's dtype, which is also faster for so few rows.

    Raises:
        ConfigError: int8 on another device than the CPU.
    """

    def __init__(self, decoder: "GPT2LMHeadModel", precision: Precision) -> None:
        transformer: Any = decoder.transformer
        tokens = transformer.wte.weight.detach()
        if precision == "int8" and tokens.device.type != "cpu":
            raise ConfigError(f"precision int8 needs the CPU; the decoder is on {tokens.device}: use bfloat16")
        self.heads = int(decoder.config.n_head)
        self.precision = precision
        self.tokens, self.positions = tokens, transformer.wpe.weight.detach()
        gelu = decoder.config.activation_function in TANH_GELU
        self.blocks = [self._block(block, gelu) for block in transformer.h]
        self.last_norm = _norm(transformer.ln_f)
        self.head = self._linear(decoder.lm_head.weight, None)

    def _block(self, block: Any, gelu: bool) -> BlockMaps:
        attention, cross = block.attn, block.crossattention
        return BlockMaps(
            encoded=self._conv(cross.c_attn),
            own_norm=_norm(block.ln_1),
            own_in=self._conv(attention.c_attn),
            own_out=self._conv(attention.c_proj),
            cross_norm=_norm(block.ln_cross_attn),
            cross_in=self._conv(cross.q_attn),
            cross_out=self._conv(cross.c_proj),
            norm=_norm(block.ln_2),
            up=self._conv(block.mlp.c_fc, _tanh_gelu if gelu else block.mlp.act),
            down=self._conv(block.mlp.c_proj),
            own_scale=attention.scaling,
            cross_scale=cross.scaling,
        )

    def _conv(self, layer: Any, activation: Map | None = None) -> Map:
        """Map of transformers' Conv1D, whose weight is (in, out)."""
        return self._linear(layer.weight.T, layer.bias, activation)

    def _linear(self, weight: Tensor, bias: Tensor | None, activation: Map | None = None) -> Map:
        """`activation` of the linear map of a weight (out, in)."""
        weight, bias = weight.detach(), None if bias is None else bias.detach()
        if self.precision == "int8":
            linear = _int8(weight, bias)
        elif self.precision == "bfloat16":
            rounded = _linear(weight.bfloat16(), None if bias is None else bias.bfloat16())
            linear = lambda vectors: rounded(vectors.bfloat16()).to(vectors.dtype)  # noqa: E731
        elif activation is _tanh_gelu:
            return _linear(weight, bias, gelu=True)
        else:
            linear = _linear(weight, bias)
        return linear if activation is None else lambda vectors: activation(linear(vectors))


_made: "WeakKeyDictionary[GPT2LMHeadModel, tuple[tuple[Any, ...], DecoderMaps]]" = WeakKeyDictionary()


def decoder_maps(decoder: "GPT2LMHeadModel", precision: Precision) -> DecoderMaps:
    """The decoder's maps; cached until a weight changes."""
    state = (precision, *((weight.data_ptr(), version_of(weight), weight.dtype) for weight in decoder.parameters()))
    known = _made.get(decoder)
    if known is None or known[0] != state:
        _made.pop(decoder, None)  # frees the old ones before new ones are allocated
        known = _made[decoder] = state, DecoderMaps(decoder, precision)
    return known[1]


def _tanh_gelu(vectors: Tensor) -> Tensor:
    return F.gelu(vectors, approximate="tanh")


def _norm(norm: Any) -> Map:
    weight, bias = norm.weight.detach(), norm.bias.detach()
    return lambda hidden: F.layer_norm(hidden, norm.normalized_shape, weight, bias, norm.eps)


def _linear(weight: Tensor, bias: Tensor | None, gelu: bool = False) -> Map:
    """The linear map of a weight (out, in), in the weight's dtype; `gelu` is fused."""
    if not has_onednn(weight):
        linear: Map = lambda vectors: F.linear(vectors, weight, bias)  # noqa: E731
        return (lambda vectors: _tanh_gelu(linear(vectors))) if gelu else linear
    packed = onednn_layout(weight, ROWS)
    return lambda vectors: onednn_linear(vectors, packed, bias, "gelu" if gelu else "none")


def _int8(weight: Tensor, bias: Tensor | None) -> Map:
    scales = weight.float().abs().amax(1).clamp_min(1e-12).double() / 127  # (out,)
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():  # torch warns that this will move; its version is pinned here
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor")
        rounded = torch.quantize_per_channel(weight.float().contiguous(), scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, None if bias is None else bias.float())
    narrow = not has_vnni()  # without VNNI sums of two products overflow 16 bits, so inputs get 7 bits

    return lambda vectors: torch.ops.quantized.linear_dynamic(vectors.float(), packed, narrow).to(vectors.dtype)  # type: ignore[no-any-return]
