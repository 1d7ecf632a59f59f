"""L = L_CE + λ1 L_CCL + λ2 L_PCL (Eq. 11) as one module, as DistributedDataParallel requires."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showcases.generator.config import ContrastiveConfig
from showcases.generator.data import IGNORED, Batch
from showcases.generator.losses import PC2LLoss
from showcases.generator.mma import Encoded
from showcases.generator.model import Generator
from showcases.generator.packed import decode_packed
from showcases.training.gather import sum_over_workers


class Objective(nn.Module):
    """The generator with the projection heads of the losses, which only training needs.

    Args:
        generator: model to train.
        config: contrastive losses; those of modalities that the generator does not read are skipped.
    """

    def __init__(self, generator: Generator, config: ContrastiveConfig) -> None:
        super().__init__()
        self.generator, self.config = generator, config
        self.contrastive = PC2LLoss(generator.width, config, "img" in generator.inputs, "text" in generator.inputs)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of this worker's n examples, and its parts for the log.

        L_CE is the mean over the tokens of the global batch, the contrastive losses are means over its examples: the
        mean of what the workers return, weighted by their n, is the loss of one worker with the whole batch.

        Returns:
            A number of nats, and the parts without gradient: ce, image_loss, text_loss.
        """
        encoded = self.generator.encode(batch.images, batch.image_mask, batch.reviews, batch.review_mask)
        hidden, hard = self._decode(batch, encoded)
        counts = torch.tensor([len(hidden), int((batch.targets != IGNORED).sum())], device=hidden.device)
        examples, tokens = sum_over_workers(counts).tolist()
        ce = total_cross_entropy(self.generator, hidden, batch.targets) / tokens * (examples / len(hidden))
        image_losses, text_losses = self.contrastive(
            encoded.images,
            encoded.reviews,
            (hidden, batch.text_mask),
            hard,
            batch.has_hard,
            batch.users,
            batch.review_mask.any(dim=1),
        )
        image_loss, text_loss = image_losses.mean(), text_losses.mean()
        loss = ce + self.config.lambda_image * image_loss + self.config.lambda_text * text_loss
        parts = {"ce": ce, "image_loss": image_loss, "text_loss": text_loss}
        return loss, {name: value.detach() for name, value in parts.items()}

    def nats(self, batch: Batch) -> Tensor:
        """Sum of −log p(target) over the targets that are not IGNORED."""
        encoded = self.generator.encode(batch.images, batch.image_mask, batch.reviews, batch.review_mask)
        hidden = decode_packed(self.generator.decoder, batch.tokens, with_begin(batch.text_mask), encoded)
        return total_cross_entropy(self.generator, hidden, batch.targets)

    def _decode(self, batch: Batch, encoded: Encoded) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """H^Y, and H^Y of the hard negatives if needed; decoded together with one encoder pass."""
        decoder = self.generator.decoder
        if not self.contrastive.needs_hard:
            return decode_packed(decoder, batch.tokens, with_begin(batch.text_mask), encoded), None
        tokens = torch.cat([batch.tokens, batch.hard_tokens])
        real = with_begin(torch.cat([batch.text_mask, batch.hard_mask]))
        hidden, hard = decode_packed(decoder, tokens, real, encoded).chunk(2)
        return hidden, (hard, batch.hard_mask)


def with_begin(text_mask: Tensor) -> Tensor:
    """(B, T) bool, also True on the begin token at position 0."""
    real = text_mask.clone()
    real[:, 0] = True
    return real


def total_cross_entropy(generator: Generator, hidden: Tensor, targets: Tensor) -> Tensor:
    """Sum in nats of −log p(target) over the targets (B, T) that are not IGNORED, of hidden states (B, T, E)."""
    real = targets != IGNORED
    return F.cross_entropy(generator.logits(hidden[real]), targets[real], reduction="sum")
