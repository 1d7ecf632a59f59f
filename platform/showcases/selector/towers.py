"""The two towers: map a user's profile and a photo to a common space, where their dot product is relevance."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from showcases.selector.fast_linear import fast_linear, has_fast_linear

MANY_ROWS = 512  # below this, repacking the weights in each call does not pay off


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
        if vectors.ndim == 2 and len(vectors) >= MANY_ROWS and has_fast_linear(vectors):
            for layer in self.linears:
                vectors = fast_linear(vectors, layer.weight, layer.bias, relu=layer is not self.layers[-1])
            return vectors
        return self.layers(vectors)  # type: ignore[no-any-return]

    @property
    def linears(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


def bounded_exp(logits: Tensor, bound: float) -> Tensor:
    """exp of logits squeezed into (-bound, bound) by a tanh: positive, increasing, gradient never 0."""
    return torch.exp(bound * torch.tanh(logits / bound))


@torch.no_grad()
def start_alike(
    user: Tower, image: Tower, profiles: Sequence[Tensor], weights: Sequence[float], photos: Tensor
) -> None:
    """Initialise both towers so that the product of their outputs is the similarity of profile and photo.

    Each hidden layer is mirrored, [M; -M] and then [M, -M], so that its ReLUs cancel out and the whole tower starts
    as one linear map: the same for profile and photo, onto the photos' principal directions, after
    subtracting their mean (in a CLIP space it dominates every vector). Training thus starts from the encoder's
    similarity, which a few thousand examples can't teach to random weights.

    Args:
        user: tower of the profiles.
        image: tower of the photos; with the same widths except for the input.
        profiles: (m, d) training profiles, one tensor per part (text, images).
        weights: of the parts.
        photos: (n, d) training photos.

    Source: "looks linear" initialisation, Balduzzi et al. 2017, section 4.
    """
    widths = [layer.out_features // 2 for layer in image.linears[:-1]] + [image.linears[-1].out_features]
    centred, mean, spread = _centre(photos)
    rank = min(photos.shape[1], *widths)
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -rank:].T  # (rank, d), the principal ones
    frames = [_frame(width, rank) for width in widths]  # orthonormal columns
    only = len(frames) == 1
    _mirror(image.linears[0], frames[0] @ directions / spread, mean, only)
    pieces, means = [], []
    for part, weight in zip(profiles, weights, strict=True):
        # not the photos' space: random initialisation
        basis = directions if part.shape[1] == photos.shape[1] else _frame(part.shape[1], rank).T
        _, part_mean, part_spread = _centre(part)
        pieces.append(frames[0] @ basis * (weight / part_spread))
        means.append(part_mean)
    _mirror(user.linears[0], torch.cat(pieces, dim=1), torch.cat(means), only)
    for number in range(1, len(frames)):
        inner = frames[number] @ frames[number - 1].T
        for tower in (user, image):
            _mirror(tower.linears[number], torch.cat([inner, -inner], dim=1), None, number == len(frames) - 1)


def _mirror(layer: nn.Linear, weight: Tensor, mean: Tensor | None, last: bool) -> None:
    """Set a layer to weight @ (x - mean), or to that and its negative if a ReLU follows; the rest to zeros."""
    rows = weight if last else torch.cat([weight, -weight])
    layer.weight.zero_()
    layer.weight[: len(rows), : rows.shape[1]] = rows
    layer.bias.zero_()
    if mean is not None:
        layer.bias[: len(rows)] = -rows @ mean


def _frame(rows: int, columns: int) -> Tensor:
    """(rows, columns) random orthonormal columns, or orthonormal rows if there are fewer of them."""
    return nn.init.orthogonal_(torch.empty(rows, columns))


def _centre(vectors: Tensor) -> tuple[Tensor, Tensor, float]:
    """The centred vectors, their mean (d,), and the root mean square distance from it."""
    mean = vectors.mean(0)
    centred = vectors - mean
    spread = float(centred.square().sum(1).mean().sqrt())
    return centred, mean, spread if spread > 1e-6 else 1.0
