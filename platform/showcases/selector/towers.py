"""The two towers: a user's profile and a photo, mapped to one space where their dot product is relevance."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Tower(nn.Module):
    """An MLP with ReLU between its layers, e.g. 1024 -> 512 -> 512 -> 256 -> 128 (paper section 5.1)."""

    def __init__(self, in_dim: int, hidden_dims: tuple[int, ...], out_dim: int) -> None:
        super().__init__()
        widths = (in_dim, *hidden_dims, out_dim)
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., in_dim) -> (..., out_dim)."""
        return self.layers(vectors)  # type: ignore[no-any-return]

    @property
    def linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


def bounded_exp(logits: Tensor, bound: float) -> Tensor:
    """exp of logits squeezed into (-bound, bound) by a tanh: positive, rising, with a gradient everywhere."""
    return torch.exp(bound * torch.tanh(logits / bound))


@torch.no_grad()
def start_alike(user: Tower, image: Tower, profiles: Sequence[Tensor], photos: Tensor) -> None:
    """Initial weights under which a user's and a photo's outputs are close where profile and photo are.

    Both towers get the same orthogonal weights. For random ReLU layers the product of two outputs then rises with the
    cosine of their inputs (the arc-cosine kernel, Cho & Saul 2009), so training starts from what the encoder knows
    already instead of from noise. The first layer also takes away the mean of each input, which in a CLIP space is
    most of every vector, and divides by the usual distance from it.

    Args:
        user: tower of the profiles.
        image: tower of the photos; the same widths but for the input.
        profiles: (m, d) training profiles, a tensor for each part that they are made of (text, images).
        photos: (n, d) training photos.
    """
    for layer, twin in zip(image.linears, user.linears, strict=True):
        widening = math.sqrt(max(1.0, layer.in_features / layer.out_features))
        last = layer is image.linears[-1]
        nn.init.orthogonal_(layer.weight, gain=widening * (1.0 if last else math.sqrt(2.0)))
        layer.bias.zero_()
        if layer is not image.linears[0]:
            twin.load_state_dict(layer.state_dict())
    first, user_first = image.linears[0], user.linears[0]
    pieces = []
    user_first.bias.zero_()
    for part in profiles:
        weight = first.weight.clone()
        if part.shape[1] != weight.shape[1]:  # not the photos' space: nothing to begin with but noise
            weight = nn.init.orthogonal_(weight.new_empty(len(weight), part.shape[1]))
        mean, spread = _centre(part)
        pieces.append(weight / (spread * math.sqrt(len(profiles))))
        user_first.bias.sub_(pieces[-1] @ mean)
    user_first.weight.copy_(torch.cat(pieces, dim=1))
    mean, spread = _centre(photos)
    first.weight.div_(spread)
    first.bias.sub_(first.weight @ mean)


def _centre(vectors: Tensor) -> tuple[Tensor, float]:
    """Mean (d,), and the root mean square distance from it."""
    mean = vectors.mean(0)
    spread = float((vectors - mean).square().sum(1).mean().sqrt())
    return mean, spread if spread > 1e-6 else 1.0
