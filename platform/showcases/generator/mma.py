"""The multi-modal encoder: photos and past reviews in one sequence, so that each modality attends to the other.

Paper section 4.2: Z^V = W^V V, Z^R = W^R R, [H^V; H^R] = MMA([Z^V; Z^R]).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from showcases.errors import ConfigError


@dataclass(frozen=True)
class Encoded:
    """The encoder's output, to which the decoder attends.

    Attributes:
        hidden: (B, I + R, E), photos first, then reviews.
        mask: (B, I + R) bool, True at real positions; at least one True per row.
        image_slots: I; 0 for a model that reads no photos.
    """

    hidden: Tensor
    mask: Tensor
    image_slots: int

    @property
    def images(self) -> tuple[Tensor, Tensor]:
        """H^V (B, I, E) and its mask (B, I)."""
        return self.hidden[:, : self.image_slots], self.mask[:, : self.image_slots]

    @property
    def reviews(self) -> tuple[Tensor, Tensor]:
        """H^R (B, R, E) and its mask (B, R)."""
        return self.hidden[:, self.image_slots :], self.mask[:, self.image_slots :]

    def take(self, examples: Tensor) -> "Encoded":
        """Select examples (k,), in that order, repeats allowed."""
        return Encoded(self.hidden[examples], self.mask[examples], self.image_slots)


class Projection(nn.Module):
    """W^V or W^R: projects features of one modality to the model's width, with a learned placeholder if there are none.

    CLIP's unit vectors lie in a narrow cone (cosines of 0.5 to 0.9 between any two photos). So they are
    standardised first, which W could learn, but only slowly.

    Args:
        dim: D, of the features.
        width: E, of the model.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, width)
        nn.init.normal_(self.linear.bias)  # separates photos from reviews, so that attention can select from the start
        self.nothing = nn.Parameter(torch.randn(width) * 0.02)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.tensor(math.sqrt(dim)))  # scale of isotropic unit vectors

    def standardise(self, features: Tensor) -> None:
        """Set centre and scale so that these features (n, D) have mean 0 and a mean square of 1 a component."""
        if len(features) > 1:
            self.centre.copy_(features.mean(dim=0))
            self.scale.copy_(1 / (features - self.centre).square().mean().sqrt().clamp(min=1e-6))

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Project (B, N, D) features, masked by (B, N), to ((B, N', E), (B, N')); N' = max(N, 1).

        An example without any feature gets the placeholder in its first slot, so no row is fully masked. Values in
        masked slots, even NaN, have no effect.
        """
        if features.shape[1] == 0:
            features, mask = features.new_zeros(len(features), 1, features.shape[2]), mask.new_zeros(len(mask), 1)
        features = ((features - self.centre) * self.scale).masked_fill(~mask[..., None], 0.0)
        stands_in = torch.zeros_like(mask)
        stands_in[:, 0] = ~mask.any(dim=1)
        projected = self.linear(features)  # (B, N', E)
        return torch.where(stands_in[..., None], self.nothing, projected), mask | stands_in


class MultiModalEncoder(nn.Module):
    """Self-attention layers over [Z^V; Z^R]; no positions, so the order of photos and reviews does not matter.

    Args:
        width: E, the decoder's width.
        layers: of self-attention (paper: 3).
        heads: per layer (paper: 12).
        dropout: probability.
        image_dim: of photo features; None for a model that reads no photos.
        text_dim: of review features; None for a model that reads no reviews.

    Raises:
        ConfigError: neither modality is read, or the heads do not divide the width.
    """

    def __init__(
        self, width: int, layers: int, heads: int, dropout: float, image_dim: int | None, text_dim: int | None
    ) -> None:
        super().__init__()
        if image_dim is None and text_dim is None:
            raise ConfigError("a generator must read photos or reviews, or both")
        if width % heads:
            raise ConfigError(f"mma_heads {heads} does not divide the decoder's width {width}")
        self.images = None if image_dim is None else Projection(image_dim, width)
        self.reviews = None if text_dim is None else Projection(text_dim, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def standardise(self, images: Tensor, reviews: Tensor) -> None:
        """Set both projections' centre and scale from features (n, D) and (m, D') of the training split."""
        for projection, features in ((self.images, images), (self.reviews, reviews)):
            if projection is not None:
                projection.standardise(features)

    def forward(self, images: Tensor, image_mask: Tensor, reviews: Tensor, review_mask: Tensor) -> Encoded:
        """Encode a batch.

        Args:
            images: (B, I, D) float, padded.
            image_mask: (B, I) bool, True for real photos; rows without any are allowed.
            reviews: (B, R, D') float, padded.
            review_mask: (B, R) bool, likewise.
        """
        parts = []
        if self.images is not None:
            parts.append(self.images(images, image_mask))
        if self.reviews is not None:
            parts.append(self.reviews(reviews, review_mask))
        hidden = torch.cat([part for part, _ in parts], dim=1)  # (B, I + R, E)
        mask = torch.cat([part_mask for _, part_mask in parts], dim=1)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=~mask)
        image_slots = 0 if self.images is None else parts[0][0].shape[1]
        return Encoded(self.norm(hidden), mask, image_slots)
