"""Autoregressive decoding: greedy, beam search and nucleus sampling, with everything constant computed once.

The same tokens as transformers' `generate` on the same weights, but faster: keys and values of the cross-attention are
computed once per example and shared by its beams; those of the self-attention are in one preallocated buffer that is
never copied, not even for beams; weights are repacked once; and a finished example leaves the batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.errors import ConfigError
from showcases.generator.config import Precision
from showcases.generator.mma import Encoded
from showcases.generator.rules import Rules, Tokens
from showcases.generator.weights import decoder_maps

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

Banned = Sequence[Sequence[Tokens]] | None
NEVER = -1e9  # log-probability of forbidden choices; finite, so that sums stay finite


@dataclass(frozen=True)
class Decoding:
    """Options of decoding.

    Args:
        max_tokens: maximum length.
        beams: of beam search; 1 is greedy.
        no_repeat_ngram: n-grams of this size are not repeated; 0 disables the rule.
        top_p: above 0, samples each token from the smallest set of tokens with this total probability (nucleus
            sampling, Holtzman et al. 2020); 0 disables sampling.
        temperature: of sampling.
        seed: of sampling.
        precision: of the decoder's weights and matrix products; less is faster, but may change texts.
    """

    max_tokens: int = 64
    beams: int = 1
    no_repeat_ngram: int = 0
    top_p: float = 0.0
    temperature: float = 1.0
    seed: int = 0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_tokens < 1:
            raise ConfigError(f"beams ({self.beams}) and max_tokens ({self.max_tokens}) must be at least 1")
        if not 0 <= self.top_p <= 1 or self.temperature <= 0:
            raise ConfigError(f"top_p ({self.top_p}) must be 0 to 1, temperature ({self.temperature}) above 0")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision is {self.precision!r}; it must be one of {get_args(Precision)}")
        if self.top_p and self.beams > 1:
            raise ConfigError(f"top_p {self.top_p} samples one text; it needs beams 1, not {self.beams}")


class StepDecoder(Protocol):
    """A stateful model that takes one token per row and step; K consecutive rows per example."""

    def step(self, tokens: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after `tokens` (R,)."""

    def take_beams(self, parents: Tensor) -> None:
        """Reorder the beams: parents (B, K) are the beams of the same example that each one continues."""

    def take_examples(self, rows: Tensor) -> None:
        """Continue with a subset of the examples (b,)."""


class CachedDecoder:
    """A GPT-2 with cross-attention and a key-value cache; takes one token per row and step.

    Reordering beams copies no keys and values: an example's beams share one cache, and a mask marks the entries of each
    beam's past.

    Args:
        decoder: in evaluation mode.
        encoded: of B examples.
        beams: K rows per example; R = B K rows, an example's rows are consecutive.
        length: maximum number of steps.
        precision: see `DecoderMaps`.
    """

    def __init__(
        self, decoder: "GPT2LMHeadModel", encoded: Encoded, beams: int, length: int, precision: Precision = "float32"
    ) -> None:
        self.maps, self.beams, self.fed = decoder_maps(decoder, precision), beams, 0
        hidden = encoded.hidden.to(self.maps.tokens.dtype)
        examples, _, width = hidden.shape
        heads = self.maps.heads
        self.mask = encoded.mask[:, None, None, :]  # (B, 1, 1, S)
        self.cross = []  # keys and values (B, H, S, d) of each block
        for block in self.maps.blocks:
            both = block.encoded(hidden).split(width, dim=2)
            self.cross.append([part.unflatten(2, (heads, -1)).transpose(1, 2).contiguous() for part in both])
        shape = (len(self.maps.blocks), 2, examples, heads, length, beams, width // heads)
        self.cache = hidden.new_empty(shape)  # keys and values of the tokens so far
        self.past = hidden.new_full((examples, 1, beams, length, beams), float("-inf"))  # 0: beam sees (token, beam)

    def step(self, tokens: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after `tokens` (R,)."""
        now, maps, beams, heads = self.fed, self.maps, self.beams, self.maps.heads
        self.past[:, 0, :, now].diagonal(dim1=1, dim2=2).zero_()
        past = None if beams == 1 else self.past[:, :, :, : now + 1].flatten(3)  # (B, 1, K, (now + 1) K)
        hidden = maps.tokens[tokens] + maps.positions[now]  # (R, E)
        rows, width = hidden.shape
        for block, cache, (keys, values) in zip(maps.blocks, self.cache, self.cross, strict=True):
            parts = block.own_in(block.own_norm(hidden)).view(-1, beams, 3, heads, width // heads)
            query, cache[0, :, :, now], cache[1, :, :, now] = parts.permute(2, 0, 3, 1, 4)  # (B, H, K, d) each
            past_keys, past_values = cache[:, :, :, : now + 1].flatten(3, 4)  # (B, H, (now + 1) K, d) each
            seen = F.scaled_dot_product_attention(query, past_keys, past_values, attn_mask=past, scale=block.own_scale)
            hidden = hidden + block.own_out(seen.transpose(1, 2).reshape(rows, width))
            query = block.cross_in(block.cross_norm(hidden)).view(-1, beams, heads, width // heads).transpose(1, 2)
            seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=self.mask, scale=block.cross_scale)
            hidden = hidden + block.cross_out(seen.transpose(1, 2).reshape(rows, width))
            hidden = hidden + block.down(block.up(block.norm(hidden)))
        self.fed = now + 1
        return maps.head(maps.last_norm(hidden)).float()

    def take_beams(self, parents: Tensor) -> None:
        """Reorder the beams: parents (B, K) are the beams of the same example that each one continues."""
        self.past = self.past.gather(2, parents[:, None, :, None, None].expand_as(self.past))

    def take_examples(self, rows: Tensor) -> None:
        """Continue with a subset of the examples (b,)."""
        self.cache, self.past, self.mask = self.cache[:, :, rows], self.past[rows], self.mask[rows]
        self.cross = [[keys[rows], values[rows]] for keys, values in self.cross]


@torch.no_grad()
def write(
    decoder: "GPT2LMHeadModel", encoded: Encoded, end: int, how: Decoding, banned: Banned = None
) -> list[list[int]]:
    """Decode one text per example; returns its token ids, without the begin and end token `end`.

    Args:
        banned: for each example runs of tokens that must not be written.

    Raises:
        ConfigError: more tokens than the decoder has positions.
    """
    if not len(encoded.hidden):
        return []
    model = _cached(decoder, encoded, how)
    return write_with(model, len(encoded.hidden), end, how, encoded.hidden.device, banned)


def stream(
    decoder: "GPT2LMHeadModel", encoded: Encoded, end: int, how: Decoding, banned: Banned = None
) -> Iterator[dict[int, int]]:
    """Decode step by step: yields {example: token} for the unfinished examples. Together these are `write`'s result.

    Raises:
        ConfigError: more than one beam, whose text is known only at its end; more tokens than the decoder has
            positions.
    """
    if how.beams > 1:
        raise ConfigError(f"can't stream with {how.beams} beams: beam search knows a text only at its end; use beams 1")
    model = _cached(decoder, encoded, how)
    steps = _one_by_one(model, len(encoded.hidden), end, how, encoded.hidden.device, banned)
    while True:
        with torch.no_grad():  # not around the yield, which would disable the caller's gradients
            step = next(steps, None)
        if step is None:
            return
        examples, tokens = (part.tolist() for part in step)
        yield {example: token for example, token in zip(examples, tokens, strict=True) if token != end}


def _cached(decoder: "GPT2LMHeadModel", encoded: Encoded, how: Decoding) -> CachedDecoder:
    if how.max_tokens >= int(decoder.config.n_positions) + 1:
        raise ConfigError(f"max_tokens is {how.max_tokens}; the decoder has {decoder.config.n_positions} positions")
    with torch.no_grad():
        return CachedDecoder(decoder, encoded, how.beams, how.max_tokens, how.precision)


@torch.no_grad()
def write_with(
    model: StepDecoder,
    count: int,
    end: int,
    how: Decoding,
    device: torch.device | str = "cpu",
    banned: Banned = None,
) -> list[list[int]]:
    """Like `write`, for any StepDecoder.

    Args:
        model: in its initial state, with how.beams rows for each of `count` examples.
        device: of the model.
        banned: for each example runs of tokens that must not be written.
    """
    if how.beams > 1:
        found = _beam_search(model, count, end, how, device, banned)
        return [[token for token in ids if token != end] for ids in found]
    texts: list[list[int]] = [[] for _ in range(count)]
    for examples, tokens in _one_by_one(model, count, end, how, device, banned):
        for example, token in zip(examples.tolist(), tokens.tolist(), strict=True):
            texts[example] += [token] if token != end else []
    return texts


def _one_by_one(
    model: StepDecoder, count: int, end: int, how: Decoding, device: torch.device | str, banned: Banned
) -> Iterator[tuple[Tensor, Tensor]]:
    """Greedy decoding or sampling: yields indices (b,) of the unfinished examples and their tokens (b,)."""
    rules = Rules(how.no_repeat_ngram, how.top_p, how.temperature, banned)
    dice = torch.Generator(device=device).manual_seed(how.seed)
    texts = torch.full((count, how.max_tokens + 1), end, device=device)
    rows = torch.arange(count, device=device)  # unfinished
    for length in range(1, how.max_tokens + 1):
        scores = rules(rows, texts[rows, :length], model.step(texts[rows, length - 1]))
        if how.top_p:
            tokens = torch.multinomial(scores.softmax(1), 1, generator=dice)[:, 0]
            tokens = torch.where((texts[rows, 1:length] == end).any(1), end, tokens)
        else:
            tokens = scores.argmax(1)
        texts[rows, length] = tokens
        yield rows, tokens
        unfinished = (texts[rows, 1 : length + 1] != end).all(1).nonzero()[:, 0]
        if not len(unfinished):
            break
        if len(unfinished) < len(rows) and not how.top_p:  # with sampling all stay: a draw must not depend on others
            rows = rows[unfinished]
            model.take_examples(unfinished)


def _beam_search(
    model: StepDecoder, count: int, end: int, how: Decoding, device: torch.device | str, banned: Banned
) -> list[list[int]]:
    """The text with the highest mean log-probability per token among those found by K beams.

    An example is finished when the best unfinished beam's mean is no longer above the worst of its K finished texts.
    """
    beams = how.beams
    rules = Rules(how.no_repeat_ngram, banned=banned, beams=beams)
    settled = torch.full((count, how.max_tokens + 1), end, device=device)
    rows = torch.arange(count, device=device)  # unfinished examples
    texts = torch.full((count, beams, how.max_tokens + 1), end, device=device)
    totals = torch.zeros(count, beams, device=device)  # log-probability of each beam
    totals[:, 1:] = NEVER  # all beams start identical
    finished, means = texts.clone(), torch.full_like(totals, NEVER)
    is_finished = torch.zeros_like(totals, dtype=torch.bool)
    for length in range(1, how.max_tokens + 1):
        log_p = F.log_softmax(model.step(texts[:, :, length - 1].flatten()), dim=1)
        log_p = rules(rows, texts[:, :, :length].flatten(0, 1), log_p)
        vocabulary = log_p.shape[1]
        # twice as many as beams: if half of them end here, the other half continues
        best, place = (log_p.view(len(rows), beams, -1) + totals[..., None]).flatten(1).topk(2 * beams)
        parent, token = place // vocabulary, place % vocabulary
        longer = _pick(texts, parent)
        longer[:, :, length] = token
        ends = (token == end) | (length == how.max_tokens)
        ended = ends.clone()
        ended[:, beams:] = False  # only the best K count as finished
        # NEVER is added exactly as in transformers, for the same order of ties
        merged = torch.cat([means, best / length + ~ended * NEVER], dim=1)
        chosen = merged.topk(beams)[1]
        finished = _pick(torch.cat([finished, longer], dim=1), chosen)
        means = merged.gather(1, chosen)
        is_finished = torch.cat([is_finished, ended], dim=1).gather(1, chosen)
        unfinished = best + ends * NEVER
        best_beams = unfinished.topk(beams)[1]
        texts, totals = _pick(longer, best_beams), unfinished.gather(1, best_beams)
        if length == how.max_tokens or bool(ends.all()):
            break
        model.take_beams(parent.gather(1, best_beams))
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
    """Gather texts (b, n, T) by indices (b, k) to (b, k, T)."""
    return texts.gather(1, which[:, :, None].expand(-1, -1, texts.shape[2]))
