"""Fine-tuning of the decoder as a language model of reviews, before multi-modal training (Table 5, "+ FT").

Paper section 5.3: the texts of users with one review can't be used for personalisation, but are in-domain English.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from showcases.errors import ConfigError
from showcases.generator.config import TrainGeneratorConfig
from showcases.generator.data import IGNORED, following_tokens, pad_tokens
from showcases.generator.decoder import starting_decoder
from showcases.generator.examples import training_texts
from showcases.generator.tokenizer import encode
from showcases.generator.train import text_task
from showcases.training import Session, TrainingJob, fit

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

HELD_OUT = 10  # every tenth text is for validation


def finetune_decoder(job: TrainingJob[TrainGeneratorConfig, None], session: Session) -> dict[str, float]:
    """Train the decoder on gest_ft, without cross-attention; `model/` in a checkpoint is a plain GPT-2 with tokenizer.

    Uses the config's `finetune_loop` and `model`; reads gest_s2 if the tokenizer is learned.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better) and more.

    Raises:
        ConfigError: there are too few texts.
        LossError: the loss is not finite.
    """
    workspace, config = job.workspace, job.config
    texts = [text for text in workspace.read_table("gest_ft", ["text"])["text"].to_pylist() if text.strip()]
    order = np.random.default_rng([job.seed, 3]).permutation(len(texts))
    if len(texts) < HELD_OUT:
        raise ConfigError(f"gest_ft has {len(texts)} texts, too few to fine-tune on; disable train_generator.finetune")
    torch.manual_seed(job.seed)
    decoder, tokenizer = starting_decoder(config.model, training_texts(workspace), cross_attention=False)
    model = LanguageModel(decoder).to(session.device)
    held_out, train = (
        TextData([texts[n] for n in part], tokenizer, config.model.max_tokens)
        for part in (order[: len(texts) // HELD_OUT], order[len(texts) // HELD_OUT :])
    )

    def save(_: nn.Module, folder: Path) -> None:
        decoder.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))

    task = text_task(model, train.batch, held_out, len(train), save, session.device, {"vocabulary": len(tokenizer)})
    return fit(task, replace(config.finetune_loop, seed=job.seed), session)


class LanguageModel(nn.Module):
    """A decoder with its loss in one module, as DistributedDataParallel requires."""

    def __init__(self, decoder: "GPT2LMHeadModel") -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, batch: "TextBatch") -> tuple[Tensor, dict[str, Tensor]]:
        """Mean cross entropy in nats over the targets that are not IGNORED, and no partial losses."""
        return self.nats(batch) / (batch.targets != IGNORED).sum(), {}

    def nats(self, batch: "TextBatch") -> Tensor:
        """Summed cross entropy in nats."""
        logits = self.decoder(batch.tokens, use_cache=False).logits  # (B, T, vocabulary)
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum")


@dataclass(frozen=True)
class TextBatch:
    """B texts: tokens (B, T) that begin with the begin token; targets (B, T), the token after each, or IGNORED."""

    tokens: Tensor
    targets: Tensor

    def to(self, device: str) -> "TextBatch":
        """Copy to a device."""
        return TextBatch(self.tokens.to(device), self.targets.to(device))


class TextData:
    """Tokenised texts, truncated to `max_tokens`; `words` counts all words."""

    def __init__(self, texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, max_tokens: int) -> None:
        self.encoded = [encode(tokenizer, text, max_tokens) for text in texts]
        self.words = [len(text.split()) for text in texts]
        self.end = int(tokenizer.eos_token_id)

    def __len__(self) -> int:
        return len(self.encoded)

    def batch(self, numbers: Sequence[int]) -> TextBatch:
        """Collate the texts with these indices."""
        ids, cut = [self.encoded[n][0] for n in numbers], [self.encoded[n][1] for n in numbers]
        length = 1 + max(len(part) for part in ids)
        return TextBatch(pad_tokens(ids, length, self.end)[0], following_tokens(ids, cut, length, self.end))
