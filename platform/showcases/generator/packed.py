"""Packed decoding: runs the decoder over texts of different lengths without padding, for teacher forcing.

The hidden states are those of transformers' GPT-2. Linear layers, which do most of the
arithmetic, run on real tokens only, packed into one row; only attention, which is cheap for short texts, is padded. The
texts of an example share the keys and values of the cross-attention.
"""

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from showcases.generator.mma import Encoded

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


class Layout:
    """Positions of the R real tokens of k texts for each of B examples in padded tensors, grouped by example.

    Args:
        real: (k B, T) bool, True where there is a token; all first texts first.
        examples: B.
    """

    def __init__(self, real: Tensor, examples: int) -> None:
        self.examples, self.texts, self.length = examples, len(real) // examples, real.shape[1]
        row, self.position = real.nonzero(as_tuple=True)  # (R,) each
        self.place = ((row % examples) * self.texts + row // examples) * self.length + self.position

    def pad(self, packed: Tensor) -> Tensor:
        """Scatter (R, ...) to (B k T, ...), zeros where there is no token."""
        shape = (self.examples * self.texts * self.length, *packed.shape[1:])
        return packed.new_zeros(shape).index_copy(0, self.place, packed)

    def pack(self, padded: Tensor) -> Tensor:
        """Gather (R, ...) from (B k T, ...)."""
        return padded.index_select(0, self.place)


def decode_packed(decoder: "GPT2LMHeadModel", tokens: Tensor, real: Tensor, encoded: Encoded) -> Tensor:
    """Last hidden states of texts; equal to decoding them with padding.

    Args:
        decoder: with cross-attention in every block.
        tokens: (k B, T): k texts for each of B examples, all first texts first, padded on the right.
        real: (k B, T) bool, True on the begin token and the text.
        encoded: of the B examples.

    Returns:
        (k B, T, E), zeros where there is no token.
    """
    transformer: Any = decoder.transformer
    layout = Layout(real, len(encoded.hidden))
    hidden = transformer.wte(tokens[real]) + transformer.wpe(layout.position)  # (R, E)
    hidden = transformer.drop(hidden)
    for block in transformer.h:
        hidden = hidden + _self_attention(block.attn, block.ln_1(hidden), layout)
        hidden = hidden + _cross_attention(block.crossattention, block.ln_cross_attn(hidden), layout, encoded)
        hidden = hidden + block.mlp(block.ln_2(hidden))
    hidden = transformer.ln_f(hidden)
    return hidden.new_zeros(*tokens.shape, hidden.shape[1]).index_put((real,), hidden)


def _self_attention(attention: Any, hidden: Tensor, layout: Layout) -> Tensor:
    """(R, E): each token attends to those before it in its text; padding comes after, so causality hides it."""
    rows = layout.examples * layout.texts
    padded = layout.pad(attention.c_attn(hidden)).view(rows, layout.length, 3, attention.num_heads, -1)
    query, key, value = padded.permute(2, 0, 3, 1, 4)  # (B k, H, T, d) each
    seen = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=attention.scaling)
    return _out(attention, seen, layout)


def _cross_attention(attention: Any, hidden: Tensor, layout: Layout, encoded: Encoded) -> Tensor:
    """(R, E): the tokens of all texts of an example attend to its slots."""

    def heads(features: Tensor) -> Tensor:  # (B, H, n, d) of B n rows
        return features.view(layout.examples, -1, attention.num_heads, attention.head_dim).transpose(1, 2)

    query = heads(layout.pad(attention.q_attn(hidden)))  # (B, H, k T, d)
    key, value = map(heads, attention.c_attn(encoded.hidden).chunk(2, dim=-1))  # (B, H, S, d)
    mask = encoded.mask[:, None, None, :]
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=attention.scaling)
    return _out(attention, seen, layout)


def _out(attention: Any, seen: Tensor, layout: Layout) -> Tensor:
    """Output projection (R, E) of the heads' results (b, H, n, d), b n = B k T."""
    joined = layout.pack(seen.transpose(1, 2).reshape(-1, seen.shape[1] * seen.shape[3]))
    out: Tensor = attention.resid_dropout(attention.c_proj(joined))
    return out
