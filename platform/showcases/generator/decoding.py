"""Writing texts token by token: greedy, beam search and nucleus sampling, with all that stays the same computed once.

The same tokens as transformers' `generate` on the same weights, faster: keys and values of the cross-attention are
computed once an example and shared by its beams, those of the self-attention lie in one buffer that is never copied to
grow, and an example whose text is settled leaves the batch.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GPT2LMHeadModel, LogitsProcessorList
from transformers.generation.logits_process import (
    NoRepeatNGramLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from showcases.errors import ConfigError
from showcases.generator.mma import Encoded

NEVER = -1e9  # log-probability of what must not be chosen; finite, so that sums of it stay numbers


@dataclass(frozen=True)
class Decoding:
    """How a text is written.

    Args:
        max_tokens: at most.
        beams: of beam search; 1 is greedy.
        no_repeat_ngram: no n-gram of this many tokens comes twice; 0 allows all.
        top_p: above 0 draws each token from the smallest set of tokens that has this probability (nucleus sampling,
            Holtzman et al. 2020); 0 draws nothing.
        temperature: of the draw.
        seed: of the draw.
    """

    max_tokens: int = 64
    beams: int = 1
    no_repeat_ngram: int = 0
    top_p: float = 0.0
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_tokens < 1:
            raise ConfigError(f"beams ({self.beams}) and max_tokens ({self.max_tokens}) must be at least 1")
        if not 0 <= self.top_p <= 1 or self.temperature <= 0:
            raise ConfigError(f"top_p ({self.top_p}) must be 0 to 1, temperature ({self.temperature}) above 0")
        if self.top_p and self.beams > 1:
            raise ConfigError(f"top_p {self.top_p} draws one text; it needs beams 1, not {self.beams}")


class StepDecoder(Protocol):
    """A model that is fed one token a row, and remembers the ones before; K rows an example, an example's together."""

    def step(self, tokens: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after `tokens` (R,)."""

    def take_rows(self, rows: Tensor) -> None:
        """Go on from other rows (R,), each of the same example."""

    def take_examples(self, kept: Tensor) -> None:
        """Go on with some examples (b,) only."""


class CachedDecoder:
    """A GPT-2 with cross-attention that is fed one token a row, and remembers the ones before.

    Args:
        decoder: in evaluation mode.
        encoded: of B examples.
        beams: K rows an example; R = B K rows, an example's together.
        length: tokens that will be fed, at most.
    """

    def __init__(self, decoder: GPT2LMHeadModel, encoded: Encoded, beams: int, length: int) -> None:
        self.decoder, self.beams, self.fed = decoder, beams, 0
        self.transformer: Any = decoder.transformer
        self.blocks: list[Any] = list(self.transformer.h)
        self.heads = int(decoder.config.n_head)
        hidden = encoded.hidden.to(self.transformer.wte.weight.dtype)
        examples, _, width = hidden.shape
        self.mask = encoded.mask[:, None, None, :]  # (B, 1, 1, S)
        self.cross = []  # keys and values (B, H, S, d) of each block
        for block in self.blocks:
            both = block.crossattention.c_attn(hidden).split(width, dim=2)
            self.cross.append([part.unflatten(2, (self.heads, -1)).transpose(1, 2).contiguous() for part in both])
        shape = (len(self.blocks), 2, examples * beams, self.heads, length, width // self.heads)
        self.own = hidden.new_empty(shape)  # keys and values of the tokens so far

    def step(self, tokens: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after `tokens` (R,)."""
        now, transformer = self.fed, self.transformer
        hidden = transformer.wte(tokens) + transformer.wpe.weight[now]  # (R, E)
        rows, width = hidden.shape
        for block, own, (keys, values) in zip(self.blocks, self.own, self.cross, strict=True):
            query, key, value = block.attn.c_attn(block.ln_1(hidden)).view(rows, 3, self.heads, -1).unbind(1)
            own[0, :, :, now], own[1, :, :, now] = key, value
            seen = F.scaled_dot_product_attention(
                query[:, :, None], own[0, :, :, : now + 1], own[1, :, :, : now + 1], scale=block.attn.scaling
            )  # (R, H, 1, d)
            hidden = hidden + block.attn.c_proj(seen.reshape(rows, width))
            query = block.crossattention.q_attn(block.ln_cross_attn(hidden))
            query = query.view(-1, self.beams, self.heads, width // self.heads).transpose(1, 2)  # (B, H, K, d)
            seen = F.scaled_dot_product_attention(
                query, keys, values, attn_mask=self.mask, scale=block.crossattention.scaling
            )
            hidden = hidden + block.crossattention.c_proj(seen.transpose(1, 2).reshape(rows, width))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        self.fed = now + 1
        return self.decoder.lm_head(transformer.ln_f(hidden)).float()

    def take_rows(self, rows: Tensor) -> None:
        """Go on from other rows (R,): each beam from the one that it continues."""
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]
        if len(moved):
            self.own[:, :, moved, :, : self.fed] = self.own[:, :, rows[moved], :, : self.fed]

    def take_examples(self, kept: Tensor) -> None:
        """Go on with some examples (b,) only."""
        rows = (kept[:, None] * self.beams + torch.arange(self.beams, device=kept.device)).flatten()
        self.own, self.mask = self.own[:, :, rows], self.mask[kept]
        self.cross = [[keys[kept], values[kept]] for keys, values in self.cross]


@torch.no_grad()
def write(decoder: GPT2LMHeadModel, encoded: Encoded, end: int, how: Decoding) -> list[list[int]]:
    """Token ids of a text for each example, without the token `end` that begins and ends it.

    Raises:
        ConfigError: more tokens than the decoder has positions.
    """
    if how.max_tokens >= int(decoder.config.n_positions) + 1:
        raise ConfigError(f"max_tokens is {how.max_tokens}; the decoder has {decoder.config.n_positions} positions")
    if not len(encoded.hidden):
        return []
    model = CachedDecoder(decoder, encoded, how.beams, how.max_tokens)
    return write_with(model, len(encoded.hidden), end, how, encoded.hidden.device)


@torch.no_grad()
def write_with(
    model: StepDecoder, count: int, end: int, how: Decoding, device: torch.device | str = "cpu"
) -> list[list[int]]:
    """As `write`, by any model that can be fed token by token.

    Args:
        model: that has not been fed yet, with how.beams rows for each of `count` examples.
        device: of the model.
    """
    search = _beam_search if how.beams > 1 else _one_by_one
    return [[token for token in ids if token != end] for ids in search(model, count, end, how, device)]


def _one_by_one(model: StepDecoder, count: int, end: int, how: Decoding, device: torch.device | str) -> list[list[int]]:
    """The likeliest token each time, or a drawn one."""
    processors = _processors(how)
    dice = torch.Generator(device=device).manual_seed(how.seed)
    texts = torch.full((count, how.max_tokens + 1), end, device=device)
    rows = torch.arange(count, device=device)  # still written
    for length in range(1, how.max_tokens + 1):
        scores = processors(texts[rows, :length], model.step(texts[rows, length - 1]))
        if how.top_p:
            tokens = torch.multinomial(scores.softmax(1), 1, generator=dice)[:, 0]
            tokens = torch.where((texts[rows, 1:length] == end).any(1), end, tokens)
        else:
            tokens = scores.argmax(1)
        texts[rows, length] = tokens
        going = (texts[rows, 1 : length + 1] != end).all(1).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) < len(rows) and not how.top_p:  # drawn texts all stay, or the draw of one hung on the others
            rows = rows[going]
            model.take_examples(going)
    return texts[:, 1:].tolist()


def _beam_search(
    model: StepDecoder, count: int, end: int, how: Decoding, device: torch.device | str
) -> list[list[int]]:
    """The text of the highest mean log-probability a token among those that K beams come upon.

    An example is settled when the best unfinished beam's mean is no longer above the worst of its K finished texts.
    """
    beams = how.beams
    processors = _processors(how)
    settled = torch.full((count, how.max_tokens + 1), end, device=device)
    rows = torch.arange(count, device=device)  # examples that are not settled
    texts = torch.full((count, beams, how.max_tokens + 1), end, device=device)
    totals = torch.zeros(count, beams, device=device)  # log-probability of each beam
    totals[:, 1:] = NEVER  # all beams begin alike
    finished, means = texts.clone(), torch.full_like(totals, NEVER)
    is_finished = torch.zeros_like(totals, dtype=torch.bool)
    for length in range(1, how.max_tokens + 1):
        log_p = F.log_softmax(model.step(texts[:, :, length - 1].flatten()), dim=1)
        log_p = processors(texts[:, :, :length].flatten(0, 1), log_p)
        vocabulary = log_p.shape[1]
        # twice as many as beams: should one half end here, the other half goes on
        best, place = (log_p.view(len(rows), beams, -1) + totals[..., None]).flatten(1).topk(2 * beams)
        parent, token = place // vocabulary, place % vocabulary
        longer = _pick(texts, parent)
        longer[:, :, length] = token
        ends = (token == end) | (length == how.max_tokens)
        ended = ends.clone()
        ended[:, beams:] = False  # only the best count as finished
        # in every sum NEVER weighs as in transformers', for the same order among equals
        merged = torch.cat([means, best / length + ~ended * NEVER], dim=1)
        chosen = merged.topk(beams)[1]
        finished = _pick(torch.cat([finished, longer], dim=1), chosen)
        means = merged.gather(1, chosen)
        is_finished = torch.cat([is_finished, ended], dim=1).gather(1, chosen)
        going = best + ends * NEVER
        kept = going.topk(beams)[1]
        texts, totals = _pick(longer, kept), going.gather(1, kept)
        if length == how.max_tokens or bool(ends.all()):
            break
        first = torch.arange(len(rows), device=device)[:, None] * beams
        model.take_rows((parent.gather(1, kept) + first).flatten())
        worst = torch.where(is_finished, means.amin(1, keepdim=True), NEVER)  # (b, K)
        open_ = (totals[:, :1] / length > worst).any(1)
        if not bool(open_.all()):
            settled[rows[~open_]] = finished[~open_, 0]
            left = open_.nonzero()[:, 0]
            rows, texts, totals, finished = rows[left], texts[left], totals[left], finished[left]
            means, is_finished = means[left], is_finished[left]
            if not len(rows):
                return settled[:, 1:].tolist()
            model.take_examples(left)
    settled[rows] = finished[:, 0]
    return settled[:, 1:].tolist()


def _pick(texts: Tensor, which: Tensor) -> Tensor:
    """(b, k, T) of texts (b, n, T), by numbers (b, k)."""
    return texts.gather(1, which[:, :, None].expand(-1, -1, texts.shape[2]))


def _processors(how: Decoding) -> Any:  # transformers' own type wants tensors of another type than it is given
    found = LogitsProcessorList()
    if how.no_repeat_ngram:
        found.append(NoRepeatNGramLogitsProcessor(how.no_repeat_ngram))
    if how.top_p:
        found.extend([TemperatureLogitsWarper(how.temperature), TopPLogitsWarper(how.top_p)])
    return found
