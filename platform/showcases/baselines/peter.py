"""PETER: user and business as two tokens before the words, in one small transformer.

Li, Zhang, Chen: "Personalized Transformer for Explainable Recommendation", ACL 2021. Without the rating task
(GEST-s2 has no ratings), and without required features of an explanation (their PETER+).
"""

import math

import torch
from torch import Tensor, nn

from showcases.baselines.base import Baseline, Memory
from showcases.baselines.data import BaselineBatch, Given
from showcases.baselines.ids import UNKNOWN
from showcases.baselines.r2gen import positions


class Peter(Baseline):
    """Reads ids. GEST-s2 is split by user, so outside the training split it sees all users as one, the unknown user."""

    name = "PETER"
    reads = ("ids",)

    def build(self) -> None:
        config = self.config
        self.users = nn.Embedding(1 + len(self.ids.users), config.width)
        self.items = nn.Embedding(1 + len(self.ids.items), config.width)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.02)
        self.transformer = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(config.width, config.heads, 4 * config.width, config.dropout, batch_first=True),
            config.layers,
            enable_nested_tensor=False,
        )

    def read(self, given: Given) -> Memory:
        """Numbers (B,) of users and businesses; in training some become unknown."""
        return self._some_unknown(given.users), self._some_unknown(given.items)

    def decode(self, tokens: Tensor, memory: Memory) -> Tensor:
        return self.states(tokens, memory)[:, 2:]

    def states(self, tokens: Tensor, memory: Memory) -> Tensor:
        """(B, 2 + T, E): states of the user, the business, and each word."""
        users, items = memory
        pair = torch.stack([self.users(users), self.items(items)], dim=1)
        inputs = torch.cat([pair, self.words(tokens)], dim=1) * math.sqrt(self.config.width)
        inputs = self.dropout(inputs + positions(inputs.shape[1], self.config.width, inputs.device))
        return self.transformer(inputs, mask=hidden_from(inputs.shape[1], inputs.device))

    def further_losses(self, batch: BaselineBatch, memory: Memory) -> dict[str, tuple[float, Tensor]]:
        """Context prediction: predicts the explanation's bag of words from the business' state."""
        none = batch.tokens[:, :0]  # the business' state does not depend on the words
        context = self.logits(self.states(none, memory)[:, 1]).log_softmax(dim=-1)  # (B, vocabulary)
        nats = -context.gather(1, batch.tokens)[batch.text_mask].sum()
        return {"context_loss": (self.config.context_weight, nats)}

    def _some_unknown(self, numbers: Tensor) -> Tensor:
        if not self.training:
            return numbers
        hide = torch.rand(numbers.shape, device=numbers.device) < self.config.unknown_rate
        return numbers.masked_fill(hide, UNKNOWN)


def hidden_from(length: int, device: torch.device | str = "cpu") -> Tensor:
    """PETER's attention mask (T, T), True where masked: causal, except that user and business see each other."""
    mask = torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
    mask[0, 1] = False
    return mask
