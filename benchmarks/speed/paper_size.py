"""The generator at the paper's full size, and made-up examples to train it on: what two benchmarks share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.harness import unit_vectors
from showcases.generator.config import ContrastiveConfig, GeneratorConfig
from showcases.generator.data import GeneratorData, GestRows
from showcases.generator.model import Generator
from showcases.generator.objective import Objective
from showcases.generator.tokenizer import END
from showcases.training import LoopConfig
from showcases.training.loop import new_optimizer

VOCABULARY = 50257  # GPT-2's
DIM = 512  # of CLIP ViT-B/32's features
WORDS, SPREAD, TOKENS_A_WORD = 24.3, 0.6, 1.3  # GEST-s2's mean length (Table 1); spread of its log and BPE's: assumed
PAPER = GeneratorConfig(n_layer=12, n_head=12, n_embd=768, dropout=0.1, mma_layers=3, mma_heads=12)
TINY = replace(PAPER, n_layer=2, n_head=2, n_embd=32, mma_layers=1, mma_heads=2, max_tokens=12)  # to try the code


@dataclass(frozen=True)
class Size:
    """Of a model: its architecture and the vocabulary's entries."""

    model: GeneratorConfig = PAPER
    vocabulary: int = VOCABULARY


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Of `w1 w2 …`: one token a word, so that a text's length is its tokens'."""
    entries = {END: 0, **{f"w{number}": number for number in range(1, vocabulary)}}
    words = Tokenizer(models.WordLevel(entries, unk_token=END))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token=END, eos_token=END, pad_token=END)


def examples(count: int, size: Size, seed: int = 0) -> GeneratorData:
    """Texts of GEST-s2's mean length, at most max_tokens; 1 to 5 photos and 1 to 10 reviews each."""
    rng = np.random.default_rng(seed)
    mean = np.log(WORDS * TOKENS_A_WORD) - SPREAD**2 / 2  # of a log-normal with that mean
    lengths = np.clip(rng.lognormal(mean, SPREAD, count).round(), 3, size.model.max_tokens).astype(int)
    texts = [rng.integers(1, size.vocabulary, length) for length in lengths]
    hard = [other_entities(text, size.vocabulary, rng) for text in texts]
    rows = GestRows(
        texts=[written(text) for text in texts],
        photos=[np.arange(n) + row * 5 for row, n in enumerate(rng.integers(1, size.model.max_images + 1, count))],
        history=[np.arange(n) + row * 10 for row, n in enumerate(rng.integers(1, size.model.max_reviews + 1, count))],
        image_vectors=_vectors(count * 5, rng).astype(np.float16),
        review_vectors=_vectors(count * 10, rng),
        embedding_space="made-up",
    )
    return GeneratorData(rows, tokenizer(size.vocabulary), size.model.max_tokens, [written(text) for text in hard])


def other_entities(text: np.ndarray, vocabulary: int, rng: np.random.Generator) -> np.ndarray:
    """The text with an entity of 1 to 3 tokens in every six replaced by one of 1 to 3 others."""
    parts = []
    for start in range(0, len(text), 6):
        fixed = text[start + int(rng.integers(1, 4)) : start + 6]
        parts += [rng.integers(1, vocabulary, int(rng.integers(1, 4))), fixed]
    return np.concatenate(parts)


def written(ids: np.ndarray) -> str:
    return " ".join(f"w{number}" for number in ids)


def objective(size: Size, losses: ContrastiveConfig, kind: Any = Objective) -> Objective:
    """The model with its losses, from random weights that the seed 0 gives."""
    torch.manual_seed(0)
    built: Objective = kind(Generator(size.model, tokenizer(size.vocabulary), DIM, DIM), losses)
    return built


def stepper(
    model: Objective, data: GeneratorData, batch: int, loop: LoopConfig, device: str = "cpu"
) -> Callable[[int], float]:
    """A training step on the batch of a number, as training.fit does it; it returns the loss."""
    model.to(device).train()
    optimizer = new_optimizer(model, loop)

    def step(number: int) -> float:
        torch.manual_seed(number)  # dropout
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=loop.precision == "bfloat16"):
            loss, _ = model(data.batch(range(number * batch, (number + 1) * batch)).to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), loop.clip_norm)
        optimizer.step()
        return float(loss.detach())

    return step


def _vectors(count: int, rng: np.random.Generator) -> np.ndarray:
    return unit_vectors(rng.standard_normal((count, DIM), np.float32) + 1)
