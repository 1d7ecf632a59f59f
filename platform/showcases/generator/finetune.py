"""The decoder alone, as a language model of reviews, before it learns to see (Table 5, "+ FT").

Paper section 5.3: the texts of users with one review are too few to personalise by, but they are this field's English.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from showcases.errors import ConfigError
from showcases.generator.config import MONITOR, TrainGeneratorConfig
from showcases.generator.data import IGNORED, following_tokens, pad_tokens
from showcases.generator.decoder import starting_decoder
from showcases.generator.examples import training_texts
from showcases.generator.tokenizer import encode
from showcases.storage.artifacts import Workspace
from showcases.training import Report, fit
from showcases.training.parallel import distributed

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

HELD_OUT = 10  # one text in so many validates
CHUNK = 64  # texts a validation batch


def finetune_decoder(
    workspace: Workspace,
    config: TrainGeneratorConfig,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """Train the decoder on gest_ft, without cross-attention.

    Args:
        workspace: with gest_ft, and gest_s2 where the tokenizer is learned.
        config: its `finetune` is how long, its `model` how large.
        seed: of new weights, held-out texts and order.
        report: called after each validation; `model/` in its checkpoint folder is a plain GPT-2 with its tokenizer.
        resume_from: a checkpoint that an earlier call reported.
        device: torch device of this worker.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better) and more.

    Raises:
        ConfigError: there are too few texts.
        LossError: the loss is not finite.
    """
    texts = [text for text in workspace.read_table("gest_ft", ["text"])["text"].to_pylist() if text.strip()]
    order = np.random.default_rng([seed, 3]).permutation(len(texts))
    if len(texts) < HELD_OUT:
        raise ConfigError(
            f"gest_ft has {len(texts)} texts, too few to fine-tune on; leave train_generator.finetune out"
        )
    torch.manual_seed(seed)
    decoder, tokenizer = starting_decoder(config.model, training_texts(workspace), cross_attention=False)
    model = LanguageModel(decoder).to(device)
    ids = [encode(tokenizer, text, config.model.max_tokens) for text in texts]
    held_out, train = order[: len(texts) // HELD_OUT], order[len(texts) // HELD_OUT :]
    words = sum(len(texts[n].split()) for n in held_out)  # texts longer than max_tokens are cut: fewer are predicted

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        return model(*_batch([ids[n] for n in train[numbers]], tokenizer, device)), {}

    def validate(model: nn.Module) -> dict[str, float]:
        parts = [held_out[start : start + CHUNK] for start in range(0, len(held_out), CHUNK)]
        batches = [_batch([ids[n] for n in part], tokenizer, device) for part in parts]
        nats = sum(float(model(*batch)) * int((batch[1] != IGNORED).sum()) for batch in batches)
        return {MONITOR: nats / max(words, 1), "train_rows": float(len(train)), "val_rows": float(len(held_out))}

    def save(model: nn.Module, folder: Path) -> None:
        assert isinstance(model, LanguageModel)
        model.decoder.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))

    return fit(
        distributed(model, device),
        loss,
        validate,
        save,
        len(train),
        replace(config.finetune_loop, seed=seed),
        report,
        monitor=MONITOR,
        larger_is_better=False,
        resume_from=resume_from,
    )


class LanguageModel(nn.Module):
    """A decoder with its loss, so that DistributedDataParallel sees all of it."""

    def __init__(self, decoder: "GPT2LMHeadModel") -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats of the targets (B, T) that are not IGNORED, after tokens (B, T)."""
        logits = self.decoder(tokens, use_cache=False).logits  # (B, T, vocabulary)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def _batch(
    texts: list[tuple[list[int], bool]], tokenizer: PreTrainedTokenizerFast, device: str | torch.device
) -> tuple[Tensor, Tensor]:
    ids, cut = [part for part, _ in texts], [was_cut for _, was_cut in texts]
    end, length = int(tokenizer.eos_token_id), 1 + max(len(part) for part in ids)
    tokens, _ = pad_tokens(ids, length, end)
    return tokens.to(device), following_tokens(ids, cut, length, end).to(device)
