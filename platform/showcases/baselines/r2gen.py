"""R2Gen: a transformer decoder with a relational memory of the generated words, which conditions its layer norms.

Chen, Song, Chang, Wan: "Generating Radiology Reports via Memory-driven Transformer", EMNLP 2020, sections 2.2 to 2.4.
Here the encoder reads the projected CLIP features of the photos in place of the patches of one X-ray.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showcases.baselines.base import Baseline, Memory
from showcases.baselines.data import Given
from showcases.generator.mma import Projection


class R2Gen(Baseline):
    """Reads photos."""

    name = "R2Gen"
    reads = ("images",)

    def build(self) -> None:
        config = self.config
        self.images = Projection(self.image_dim, config.width)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                config.width, config.heads, 4 * config.width, config.dropout, batch_first=True, norm_first=True
            ),
            config.layers,
            nn.LayerNorm(config.width),
            enable_nested_tensor=False,
        )
        self.memory = RelationalMemory(config.memory_slots, config.width, config.heads)
        self.layers = nn.ModuleList(
            MemoryDrivenLayer(config.width, config.heads, config.memory_slots, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def read(self, given: Given) -> Memory:
        """Encoded photos (B, I, E) and their mask (B, I)."""
        projected, mask = self.images(given.images, given.image_mask)
        return self.encoder(projected, src_key_padding_mask=~mask), mask

    def decode(self, tokens: Tensor, memory: Memory) -> Tensor:
        encoded, mask = memory
        words = self.words(tokens) * math.sqrt(self.config.width)
        words = self.dropout(words + positions(tokens.shape[1], self.config.width, words.device))
        slots = self.memory(words)  # (B, T, S E)
        hidden = words
        for layer in self.layers:
            hidden = layer(hidden, slots, encoded, mask)
        return self.norm(hidden)


class RelationalMemory(nn.Module):
    """A matrix of S slots that attends to itself and to each word, and forgets and writes through gates (section 2.3).

    Q = M W_q, K = [M; y] W_k, V = [M; y] W_v, Z = attention(Q, K, V); M̃ = f_mlp(Z + M) + Z + M;
    G^f = Y W^f + tanh(M) U^f, G^i = Y W^i + tanh(M) U^i; M' = σ(G^f) ⊙ M + σ(G^i) ⊙ tanh(M̃).

    Args:
        slots: S.
        width: E, of a slot and of a word.
        heads: of the attention.
    """

    def __init__(self, slots: int, width: int, heads: int) -> None:
        super().__init__()
        self.slots, self.width = slots, width
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.of_word = nn.Linear(width, 2 * width)  # W^f, W^i
        self.of_memory = nn.Linear(width, 2 * width)  # U^f, U^i

    def start(self, count: int, device: torch.device) -> Tensor:
        """M_0 (B, S, E): distinct slots, one unit vector each."""
        return torch.eye(self.slots, self.width, device=device).expand(count, -1, -1)

    def step(self, word: Tensor, memory: Tensor) -> Tensor:
        """M_t (B, S, E), of the word (B, E) before it and M_{t-1}."""
        seen = torch.cat([memory, word[:, None]], dim=1)  # (B, S + 1, E)
        read, _ = self.attention(memory, seen, seen, need_weights=False)
        mixed = read + memory
        new = self.mlp(mixed) + mixed
        forget, write = (self.of_word(word)[:, None] + self.of_memory(memory.tanh())).sigmoid().chunk(2, dim=-1)
        return forget * memory + write * new.tanh()

    def forward(self, words: Tensor) -> Tensor:
        """The memory after each of the words (B, T, E), flat: (B, T, S E)."""
        memory, after = self.start(len(words), words.device), []
        for word in words.unbind(dim=1):
            memory = self.step(word, memory)
            after.append(memory.flatten(1))
        return torch.stack(after, dim=1)


class ConditionalNorm(nn.Module):
    """Layer normalization with gain and bias conditioned on the memory (MCLN, section 2.4).

    γ̃ = γ + f_γ(m), β̃ = β + f_β(m), output = γ̃ ⊙ (r − μ) / v + β̃; μ and v are r's mean and standard deviation.
    """

    def __init__(self, width: int, slots: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.gain_change, self.bias_change = (
            nn.Sequential(nn.Linear(slots * width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(2)
        )

    def forward(self, hidden: Tensor, memory: Tensor) -> Tensor:
        """Normalize (B, T, E) by the memory (B, T, S E) at each position."""
        normal = F.layer_norm(hidden, hidden.shape[-1:])
        return (self.gain + self.gain_change(memory)) * normal + self.bias + self.bias_change(memory)


class MemoryDrivenLayer(nn.Module):
    """A pre-norm decoder layer with an MCLN before each of its three parts."""

    def __init__(self, width: int, heads: int, slots: int, dropout: float) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.cross = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(ConditionalNorm(width, slots) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, memory: Tensor, encoded: Tensor, mask: Tensor) -> Tensor:
        """Words (B, T, E) attend to those before them, then to the encoded photos (B, I, E) of `mask` (B, I)."""
        length = hidden.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=hidden.device).triu(1)
        normal = self.norms[0](hidden, memory)
        hidden = hidden + self.dropout(self.own(normal, normal, normal, attn_mask=later, need_weights=False)[0])
        normal = self.norms[1](hidden, memory)
        seen, _ = self.cross(normal, encoded, encoded, key_padding_mask=~mask, need_weights=False)
        hidden = hidden + self.dropout(seen)
        return hidden + self.dropout(self.feed(self.norms[2](hidden, memory)))


def positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines (T, E) of positions 0 to T − 1 (Vaswani et al. 2017, section 3.5); `width` is even."""
    place = torch.arange(length, device=device)[:, None]
    angle = place * torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
