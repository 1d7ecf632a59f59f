"""Words that must not be written, against transformers' own rule; texts piece by piece, which add up to the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from showcases.errors import ConfigError
from showcases.generator import Generator, GeneratorConfig, GeneratorPredictor
from showcases.generator.decoding import Decoding, stream, write
from showcases.generator.mma import Encoded
from showcases.generator.rules import banned_tokens, mentions
from tests.unit.generator.test_generator_decoding import (
    END,
    LENGTH,
    random_decoder,
    random_encoded,
    transformers_own,
)

SAID = "The ramen was great…"


@pytest.mark.parametrize("beams", [1, 3])
def test_banned_runs_are_left_out_as_transformers_does(beams: int) -> None:
    changed = 0
    for seed in range(8):
        decoder, encoded = random_decoder(seed), random_encoded(seed, 5)
        how = Decoding(LENGTH, beams)
        free = write(decoder, encoded, END, how)
        # of each text that was written: its second token, and its last pair; of the last example nothing
        banned = [[(ids[1],), tuple(ids[-2:])] if len(ids) > 2 else [] for ids in free[:-1]] + [[]]
        found = write(decoder, encoded, END, how, banned)
        for row, runs in enumerate(banned):
            one = Encoded(encoded.hidden[row : row + 1], encoded.mask[row : row + 1], encoded.image_slots)
            words = {"bad_words_ids": [list(run) for run in runs]} if runs else {}
            expected = transformers_own(decoder, one, num_beams=beams, do_sample=False, **words)
            assert [found[row]] == expected
            changed += found[row] != free[row]
        assert found[-1] == free[-1]
    assert changed > 10


def test_a_stream_is_the_greedy_text_token_by_token() -> None:
    sizes = set()
    for seed in range(6):
        decoder, encoded = random_decoder(seed), random_encoded(seed, 6)
        how = Decoding(LENGTH)
        texts: list[list[int]] = [[] for _ in range(6)]
        for step in stream(decoder, encoded, END, how):
            sizes.add(len(step))
            for example, token in step.items():
                texts[example].append(token)
        assert texts == write(decoder, encoded, END, how)
    assert len(sizes) >= 3  # some end before others
    with pytest.raises(ConfigError, match="beams 1"):
        next(stream(decoder, encoded, END, Decoding(LENGTH, 2)))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory, small: GeneratorConfig, tokenizer) -> GeneratorPredictor:
    """Taught one text, with a character of three bytes, which the tokenizer knows as three tokens."""
    torch.manual_seed(0)
    model = Generator(small, tokenizer, 8, 8)
    tokens = torch.tensor([[tokenizer.eos_token_id, *tokenizer.encode(SAID), tokenizer.eos_token_id]])
    images, seen = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        logits = model(images, seen, images, seen, tokens[:, :-1])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits[0], tokens[0, 1:]).backward()
        optimizer.step()
    folder: Path = tmp_path_factory.mktemp("generator")
    model.save_pretrained(folder)
    return GeneratorPredictor(folder, beams=1)


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    vectors = {"images": rng.normal(size=(4, 3, 8)), "reviews": rng.normal(size=(4, 2, 8))}
    return vectors | {"n_images": np.array([3, 2, 1, 3]), "n_reviews": np.array([2, 1, 2, 0])}


def test_pieces_of_text_add_up_to_the_text(predictor: GeneratorPredictor, batch: dict[str, np.ndarray]) -> None:
    told = [""] * 4
    steps = list(predictor.stream(batch))
    for row, piece in (item for step in steps for item in step.items()):
        assert "\ufffd" not in piece
        told[row] += piece
    assert told == predictor(batch)["text"].tolist() == [SAID] * 4
    assert any("…" in piece for step in steps for piece in step.values()) and len(steps) > 6


def test_drawn_texts_hang_on_their_seed(predictor: GeneratorPredictor, batch: dict[str, np.ndarray]) -> None:
    predictor.decoding = replace(predictor.decoding, temperature=3.0)
    one, other = (predictor.drawn(batch, seed, top_p=1.0)["text"].tolist() for seed in (1, 2))
    assert one == predictor.drawn(batch, 1, top_p=1.0)["text"].tolist() != other
    predictor.decoding = replace(predictor.decoding, temperature=1.0)


def test_words_to_avoid_are_each_rows_own(predictor: GeneratorPredictor, batch: dict[str, np.ndarray]) -> None:
    avoid = np.empty(4, object)
    avoid[:] = [["Ramen"] if number == 2 else [] for number in range(4)]
    found = predictor(batch | {"avoid": avoid})["text"].tolist()
    assert not mentions(found[2], "ramen") and [found[row] for row in (0, 1, 3)] == [SAID] * 3


def test_every_spelling_of_a_word_is_banned_and_a_part_is_no_mention(tokenizer) -> None:
    runs = banned_tokens(tokenizer, ["ramen"])
    spelled = {tokenizer.decode(list(run)) for run in runs}
    assert spelled == {form for word in ("ramen", "Ramen", "RAMEN") for form in (word, f" {word}")}
    assert mentions("The RAMEN, again", "ramen") and mentions("spicy ramen!", "Spicy Ramen")
    assert not mentions("ramens", "ramen") and not mentions("The ramen", "ram") and not mentions("axb", "a.b")
