"""Ref2Seq: a GRU that attends, word by word, to references of the user and of the business.

Ni, Li, McAuley: "Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects", EMNLP 2019,
section 3.1. There references are token sequences; here each is the CLIP feature of a review, as for our generator: past
reviews of the user, and others' reviews of the business, from the training split only.
"""

import torch
from torch import Tensor, nn

from showcases.baselines.base import Baseline, Memory
from showcases.baselines.data import Given
from showcases.generator.mma import Projection


class Ref2Seq(Baseline):
    """Reads reviews, the user's and the business'; h_0 is the sum of both encoders' last states."""

    name = "Ref2Seq"
    reads = ("reviews", "item_reviews")

    def build(self) -> None:
        width = self.config.width
        self.reviews, self.item_reviews = Projection(self.text_dim, width), Projection(self.text_dim, width)
        self.user_encoder, self.item_encoder, self.decoder = (nn.GRU(width, width, batch_first=True) for _ in range(3))
        self.user_attention, self.item_attention = ReferenceAttention(width), ReferenceAttention(width)
        self.fuse = nn.Linear(3 * width, width)

    def read(self, given: Given) -> Memory:
        """h_0 (B, E), then states (B, R, E) and mask (B, R) of the user's references, and those of the business'."""
        user, user_mask = self.reviews(given.reviews, given.review_mask)
        item, item_mask = self.item_reviews(given.item_reviews, given.item_review_mask)
        user_states, item_states = self.user_encoder(user)[0], self.item_encoder(item)[0]
        start = last(user_states, user_mask) + last(item_states, item_mask)
        return start, user_states, user_mask, item_states, item_mask

    def decode(self, tokens: Tensor, memory: Memory) -> Tensor:
        start, user_states, user_mask, item_states, item_mask = memory
        hidden, _ = self.decoder(self.dropout(self.words(tokens)), start[None].contiguous())  # (B, T, E)
        of_user = self.user_attention(hidden, user_states, user_mask)
        of_item = self.item_attention(hidden, item_states, item_mask)
        return self.fuse(torch.cat([hidden, of_user, of_item], dim=-1)).tanh()


class ReferenceAttention(nn.Module):
    """a_t = Σ_j α_tj e_j, α_t = softmax_j(vᵀ tanh(W [e_j; h_t] + b)) over the real references."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_reference, self.of_state = nn.Linear(width, width), nn.Linear(width, width, bias=False)  # halves of W
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, references: Tensor, mask: Tensor) -> Tensor:
        """(B, T, E) for decoder states (B, T, E), of references (B, R, E) with mask (B, R)."""
        mixed = (self.of_reference(references)[:, None] + self.of_state(states)[:, :, None]).tanh()  # (B, T, R, E)
        scores = self.score(mixed).squeeze(-1).masked_fill(~mask[:, None], float("-inf"))
        return scores.softmax(dim=-1) @ references


def last(states: Tensor, mask: Tensor) -> Tensor:
    """(B, E): the state (B, R, E) of each row's last real reference."""
    return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
