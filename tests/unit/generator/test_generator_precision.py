"""Decoding in bfloat16 and int8 against float32: as good texts of a trained model, and close scores."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from showcases.errors import ConfigError
from showcases.generator.decoding import CachedDecoder, Decoding, write
from showcases.generator.mma import Encoded
from showcases.generator.weights import decoder_maps

END, KINDS, LENGTH, WIDTH, SLOTS = 0, 12, 10, 48, 3
CHANGED = 0.4  # share of tokens that are random: of several texts none is far likelier than the others


def encoded_kinds(kinds: Tensor, seed: int) -> Encoded:
    """Slots that show each example's kind among noise."""
    shown = torch.randn(KINDS, WIDTH, generator=torch.Generator().manual_seed(0))[kinds]
    noise = torch.randn(len(kinds), SLOTS, WIDTH, generator=torch.Generator().manual_seed(seed))
    return Encoded(shown[:, None] + 3 * noise, torch.ones(len(kinds), SLOTS, dtype=torch.bool), 1)


def texts_of(kinds: Tensor, generator: torch.Generator) -> Tensor:
    """A text (B, LENGTH) a kind, some of its tokens random."""
    fixed = torch.randint(1, 40, (KINDS, LENGTH), generator=torch.Generator().manual_seed(1))[kinds]
    other = torch.randint(1, 40, fixed.shape, generator=generator)
    return torch.where(torch.rand(fixed.shape, generator=generator) < CHANGED, other, fixed)


def scores_of(decoder: GPT2LMHeadModel, encoded: Encoded, texts: Tensor) -> Tensor:
    """transformers' own scores (B, T, vocabulary) of each token of texts (B, T)."""
    fed = F.pad(texts[:, :-1], (1, 0), value=END)
    states = decoder.transformer(fed, encoder_hidden_states=encoded.hidden, encoder_attention_mask=encoded.mask)
    return decoder.lm_head(states.last_hidden_state)


@pytest.fixture(scope="module")
def trained() -> GPT2LMHeadModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=40, n_positions=LENGTH + 2, n_embd=WIDTH, n_layer=2, n_head=4, add_cross_attention=True,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    decoder, generator = GPT2LMHeadModel(config), torch.Generator().manual_seed(2)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=6e-3)
    for step in range(100):
        kinds = torch.randint(0, KINDS, (64,), generator=generator)
        texts = F.pad(texts_of(kinds, generator), (0, 1), value=END)
        scores = scores_of(decoder, encoded_kinds(kinds, step), texts)
        optimizer.zero_grad()
        F.cross_entropy(scores.flatten(0, 1), texts.flatten()).backward()
        optimizer.step()
    return decoder.eval()


@torch.no_grad()
def nats_a_token(decoder: GPT2LMHeadModel, encoded: Encoded, texts: list[list[int]]) -> float:
    """Mean log-probability of the texts' tokens, the end too, under the float32 model."""
    rows = [F.pad(torch.tensor([*text, END]), (0, LENGTH + 1 - len(text)), value=-1) for text in texts]
    wanted = torch.stack(rows)[:, : LENGTH + 2]
    log_p = scores_of(decoder, encoded, wanted.clamp_min(END)).log_softmax(2)
    return float(log_p.gather(2, wanted.clamp_min(END)[..., None])[..., 0][wanted >= 0].mean())


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_the_texts_are_as_likely_as_those_of_float32(trained, precision, beams) -> None:
    kinds = torch.arange(96) % KINDS
    encoded = encoded_kinds(kinds, 999)
    exact = write(trained, encoded, END, Decoding(LENGTH + 1, beams))
    found = write(trained, encoded, END, Decoding(LENGTH + 1, beams, precision=precision))
    likely = nats_a_token(trained, encoded, exact)
    assert likely > -1.5  # of 40 tokens: it was trained; a guess is at -3.7
    assert nats_a_token(trained, encoded, found) == pytest.approx(likely, abs=0.01)
    same = [a == b for one, other in zip(exact, found, strict=True) for a, b in zip(one, other, strict=False)]
    assert sum(same) / len(same) > 0.98


@pytest.mark.parametrize(("precision", "error"), [("bfloat16", 0.02), ("int8", 0.05)])
def test_the_scores_are_rounded_but_close(trained, precision, error) -> None:
    encoded = encoded_kinds(torch.arange(KINDS), 5)
    texts = texts_of(torch.arange(KINDS), torch.Generator().manual_seed(5))
    exact = scores_of(trained, encoded, texts).detach()
    model = CachedDecoder(trained, encoded, 1, LENGTH, precision)
    fed = F.pad(texts[:, :-1], (1, 0), value=END)
    with torch.no_grad():
        found = torch.stack([model.step(fed[:, place]) for place in range(LENGTH)], dim=1)
    off = float((found - exact).norm() / exact.norm())
    assert 1e-4 < off < error


def test_changed_weights_are_seen_and_unchanged_ones_laid_out_once() -> None:
    torch.manual_seed(3)
    config = GPT2Config(
        vocab_size=9, n_embd=8, n_layer=1, n_head=2, add_cross_attention=True, bos_token_id=None, eos_token_id=None
    )
    decoder = GPT2LMHeadModel(config).eval()
    first = decoder_maps(decoder, "float32")
    assert decoder_maps(decoder, "float32") is first
    encoded = Encoded(torch.randn(2, SLOTS, 8), torch.ones(2, SLOTS, dtype=torch.bool), 1)
    with torch.no_grad():
        before = CachedDecoder(decoder, encoded, 1, 1).step(torch.zeros(2, dtype=torch.long))
        decoder.lm_head.weight.mul_(2.0)  # as an optimizer does, in place; the embedding shares it
        after = CachedDecoder(decoder, encoded, 1, 1).step(torch.zeros(2, dtype=torch.long))
        decoder.lm_head.weight.div_(2.0)
        again = CachedDecoder(decoder, encoded, 1, 1).step(torch.zeros(2, dtype=torch.long))
    assert not torch.allclose(before, after)
    torch.testing.assert_close(before, again)


def test_precisions_that_there_are_not() -> None:
    with pytest.raises(ConfigError, match="float16"):
        Decoding(precision="float16")  # type: ignore[arg-type]
