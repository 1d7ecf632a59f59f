"""The two towers: a user's profile and a photo, mapped to one space where their dot product is relevance."""

import itertools
import math

import torch
from torch import Tensor, nn


class Tower(nn.Module):
    """An MLP with ReLU between its layers, e.g. 1024 -> 512 -> 512 -> 256 -> 128 (paper section 5.1).

    The elements of a unit vector are about 1/sqrt(d) large; they are scaled by sqrt(d), to the size that the layers'
    initial weights are made for.
    """

    def __init__(self, in_dim: int, hidden_dims: tuple[int, ...], out_dim: int) -> None:
        super().__init__()
        widths = (in_dim, *hidden_dims, out_dim)
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        self.scale = math.sqrt(in_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., in_dim) -> (..., out_dim)."""
        return self.layers(vectors * self.scale)  # type: ignore[no-any-return]


def bounded_exp(logits: Tensor, bound: float) -> Tensor:
    """exp of logits squeezed into (-bound, bound) by a tanh: positive, rising, with a gradient everywhere."""
    return torch.exp(bound * torch.tanh(logits / bound))
