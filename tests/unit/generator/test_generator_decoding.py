"""Decoding against transformers' own `generate` on the same weights, token for token."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from showcases.errors import ConfigError
from showcases.generator.decoding import CachedDecoder, Decoding, write
from showcases.generator.mma import Encoded

VOCABULARY, END, LENGTH, SLOTS, WIDTH = 13, 4, 12, 5, 24


def random_decoder(seed: int, layers: int = 2) -> GPT2LMHeadModel:
    """With weights large enough that texts differ, and end after few or many tokens."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=LENGTH + 1, n_embd=WIDTH, n_layer=layers, n_head=3, add_cross_attention=True,
        initializer_range=0.25, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def random_encoded(seed: int, examples: int) -> Encoded:
    """Each example with a number of real slots of its own."""
    generator = torch.Generator().manual_seed(seed)
    real = torch.randint(1, SLOTS + 1, (examples, 1), generator=generator)
    hidden = 2 * torch.randn(examples, SLOTS, WIDTH, generator=generator)
    return Encoded(hidden, torch.arange(SLOTS) < real, 2)


def transformers_own(decoder: Any, encoded: Encoded, **options: Any) -> list[list[int]]:
    begin = torch.full((len(encoded.hidden), 1), END)
    written = decoder.generate(
        begin,
        attention_mask=torch.ones_like(begin),
        encoder_hidden_states=encoded.hidden,
        encoder_attention_mask=encoded.mask,
        generation_config=GenerationConfig(
            max_new_tokens=LENGTH, bos_token_id=END, eos_token_id=END, pad_token_id=END, top_k=0, **options
        ),
    )
    return [[token for token in ids if token != END] for ids in written.tolist()]


@pytest.mark.parametrize("ngram", [0, 2, 3])
@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_greedy_and_beam_search_write_what_transformers_writes(beams: int, ngram: int) -> None:
    lengths = set()
    for seed in range(12):
        decoder, encoded = random_decoder(seed), random_encoded(seed, 7)
        expected = transformers_own(decoder, encoded, num_beams=beams, do_sample=False, no_repeat_ngram_size=ngram)
        assert write(decoder, encoded, END, Decoding(LENGTH, beams, ngram)) == expected
        lengths |= {len(ids) for ids in expected}
    assert len(lengths) > 4  # some examples are settled long before others


@pytest.mark.parametrize("top_p", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
def test_nucleus_sampling_draws_what_transformers_draws(top_p: float, temperature: float) -> None:
    drawn = []
    for seed in range(6):
        decoder, encoded = random_decoder(seed), random_encoded(seed, 6)
        torch.manual_seed(seed)
        expected = transformers_own(decoder, encoded, num_beams=1, do_sample=True, top_p=top_p, temperature=temperature)
        found = write(decoder, encoded, END, Decoding(LENGTH, top_p=top_p, temperature=temperature, seed=seed))
        assert found == expected
        drawn.append(
            write(decoder, encoded, END, Decoding(LENGTH, top_p=top_p, temperature=temperature, seed=99)) != found
        )
    assert any(drawn)  # the seed counts


@pytest.mark.parametrize("beams", [1, 3])
def test_an_example_is_written_alike_alone_and_in_a_batch(beams: int) -> None:
    decoder, encoded = random_decoder(3), random_encoded(3, 9)
    together = write(decoder, encoded, END, Decoding(LENGTH, beams))
    alone = [write(decoder, encoded.take(torch.tensor([row])), END, Decoding(LENGTH, beams))[0] for row in range(9)]
    assert together == alone


def test_the_scores_are_those_of_the_whole_text_at_once() -> None:
    decoder, encoded = random_decoder(5), random_encoded(5, 4)
    tokens = torch.randint(0, VOCABULARY, (4, LENGTH), generator=torch.Generator().manual_seed(5))
    states = decoder.transformer(tokens, encoder_hidden_states=encoded.hidden, encoder_attention_mask=encoded.mask)
    expected = decoder.lm_head(states.last_hidden_state)
    model = CachedDecoder(decoder, encoded, 1, LENGTH)
    with torch.no_grad():
        found = torch.stack([model.step(tokens[:, place]) for place in range(LENGTH)], dim=1)
    torch.testing.assert_close(found, expected.detach(), atol=1e-4, rtol=1e-4)


def test_nothing_to_write_and_settings_that_make_no_sense() -> None:
    decoder, encoded = random_decoder(0), random_encoded(0, 2)
    assert write(decoder, encoded.take(torch.zeros(0, dtype=torch.long)), END, Decoding(LENGTH, 2)) == []
    with pytest.raises(ConfigError, match="has 13 positions"):
        write(decoder, encoded, END, Decoding(LENGTH + 2))
    for options in ({"beams": 0}, {"top_p": 1.5}, {"temperature": 0.0}, {"top_p": 0.5, "beams": 2}, {"max_tokens": 0}):
        with pytest.raises(ConfigError):
            Decoding(**options)  # type: ignore[arg-type]
