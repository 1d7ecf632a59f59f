"""Floating-point operations that the mathematics of a model needs: a multiplication and an addition each count as one.

N weights that a token is multiplied by cost it 2 N forward, and 4 N backward. Attention of a token to n others costs
4 n E forward in a layer of width E. Padding, what is computed twice, norms, activations and the softmax count nothing.
"""

import torch
from torch import Tensor

from showcases.generator.data import IGNORED, Batch
from showcases.generator.objective import Objective, with_begin


def training(model: Objective, batch: Batch) -> float:
    """Of a step: three times the forward pass, so 6 N a token and three times its attention."""
    return 3 * (linear(model, batch) + attention(model, batch))


def linear(model: Objective, batch: Batch) -> float:
    """Forward, of all that is multiplied by weights. With E the model's width and D a feature's, of

    a photo or past review: W^V or W^R (D E), 12 E² in each MMA layer, keys and values (2 E²) of each decoder layer;
    a text's token, begin included: 14 E² in each decoder layer, 12 of GPT-2's block and 2 of the cross-attention;
    a target: the vocabulary times E;
    a position that φ pools, and what it pools them to: E².
    """
    config, encoder = model.generator.decoder.config, model.generator.encoder
    width, layers = int(config.n_embd), int(config.n_layer)
    slots, tokens = _slots(batch), _tokens(model, batch)
    weights = (len(encoder.layers) * 12 + layers * 2) * width**2 * slots.sum()
    for features, mask in ((batch.images, batch.image_mask), (batch.reviews, batch.review_mask)):
        weights = weights + features.shape[2] * width * mask.sum(1).clamp(min=1).sum()
    weights = weights + layers * 14 * width**2 * tokens.sum()
    weights = weights + int(config.vocab_size) * width * (batch.targets != IGNORED).sum()
    return 2 * float(weights + width**2 * _pooled(model, batch))


def attention(model: Objective, batch: Batch) -> float:
    """Forward: 4 E for each other slot of a slot, each slot of a token, and each token up to itself, in each layer."""
    config = model.generator.decoder.config
    slots, tokens = _slots(batch), _tokens(model, batch)  # (B,), (k, B)
    encoder = len(model.generator.encoder.layers) * slots.square().sum()
    decoder = int(config.n_layer) * (tokens * ((tokens + 1) / 2 + slots)).sum()
    return 4 * int(config.n_embd) * float(encoder + decoder)


def _slots(batch: Batch) -> Tensor:
    """(B,) photos and past reviews of each example; one that has none of a kind has a stand-in."""
    return (batch.image_mask.sum(1).clamp(min=1) + batch.review_mask.sum(1).clamp(min=1)).double()


def _tokens(model: Objective, batch: Batch) -> Tensor:
    """(k, B) tokens of each text that is decoded."""
    masks = [batch.text_mask, batch.hard_mask] if model.contrastive.needs_hard else [batch.text_mask]
    return torch.stack([with_begin(mask).sum(1).double() for mask in masks])


def _pooled(model: Objective, batch: Batch) -> int:
    """Positions that go through φ's first layer, and vectors that go through its second."""
    losses, examples = model.contrastive, len(batch.users)
    pooled = 0
    for used, mask, least in (
        (losses.image_head, batch.image_mask, 1),
        (losses.review_head, batch.review_mask, 1),
        (losses.text_head, batch.text_mask, 0),
        (losses.needs_hard, batch.hard_mask, 0),
    ):
        pooled += int(mask.sum(1).clamp(min=least).sum()) + examples if used else 0
    return pooled


def decoding(width: int, layers: int, vocabulary: int, slots: int, examples: int, rows: list[int]) -> float:
    """Of writing texts: 2 N a token and its attention.

    Args:
        width: E.
        slots: S of each example.
        examples: whose keys and values of the slots are computed once, 2 E² a slot and layer.
        rows: beams that were fed, for each step; step i attends to i + 1 tokens.
    """
    fed = torch.tensor(rows, dtype=torch.float64)
    seen = torch.arange(1, len(rows) + 1, dtype=torch.float64) + slots
    total = 2 * (layers * 14 * width**2 + vocabulary * width) * fed.sum() + layers * 4 * width * (fed * seen).sum()
    return float(total + 2 * layers * 2 * width**2 * slots * examples)


def decoding_bytes(
    width: int, layers: int, vocabulary: int, slots: int, beams: int, rows: list[int], size: int
) -> float:
    """Bytes that writing must read: the weights once a step, and the keys and values that each row attends to.

    An example's slots are read once for its beams. With few rows a step these bytes, not the operations, bound it.
    """
    weights = layers * 14 * width**2 + vocabulary * width
    kept = sum(count * (place + 1) + count / beams * slots for place, count in enumerate(rows))
    return float(size * (len(rows) * weights + layers * 2 * width * kept))


def vision(width: int, layers: int, patch: int, tokens: int, out: int) -> float:
    """Of a photo through a vision transformer: patches (3 p² W each), 12 W² a token and layer, attention, projection.

    Args:
        width: W.
        patch: p, px.
        tokens: patches and the class token.
        out: width of the shared space.
    """
    block = 2 * 12 * width**2 * tokens + 4 * width * tokens**2
    return float(2 * 3 * patch**2 * width * (tokens - 1) + layers * block + 2 * width * out)
