"""Base class of all baselines: loss, decoding, and saving."""

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from showcases.baselines.config import BaselineConfig, Name
from showcases.baselines.data import BaselineBatch, Given
from showcases.baselines.ids import Ids
from showcases.errors import ModelError
from showcases.generator.data import IGNORED
from showcases.generator.decoding import Decoding, write_with
from showcases.generator.mma import Projection
from showcases.generator.tokenizer import decode as decode_text
from showcases.generator.tokenizer import load_tokenizer
from showcases.training.gather import sum_over_workers

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
IDS_FILE = "ids.json"
KIND = "showcases.baseline"
Column = Literal["images", "reviews", "item_reviews", "ids"]
Memory = tuple[Tensor, ...]  # encoded input: tensors with one row per example


class Baseline(nn.Module, ABC):
    """A model that writes explanations. Subclasses define its input, encoder and decoder.

    Args:
        config: size.
        tokenizer: of the explanations; its end token begins and ends them.
        image_dim: D, of photo features.
        text_dim: D', of review features.
        embedding_space: model id of the embeddings it is trained on.
        ids: users and businesses of the training split.
    """

    name: ClassVar[Name]
    reads: ClassVar[tuple[Column, ...]]

    def __init__(
        self,
        config: BaselineConfig,
        tokenizer: PreTrainedTokenizerFast,
        image_dim: int,
        text_dim: int,
        embedding_space: str = "",
        ids: Ids | None = None,
    ) -> None:
        super().__init__()
        self.config, self.tokenizer, self.embedding_space = config, tokenizer, embedding_space
        self.image_dim, self.text_dim, self.ids = image_dim, text_dim, ids or Ids()
        self.words = nn.Embedding(len(tokenizer), config.width)
        nn.init.normal_(self.words.weight, std=0.02 if self.name in ("R2Gen", "PETER") else 0.1)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.width, len(tokenizer))
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Create the layers of this kind."""

    @abstractmethod
    def read(self, given: Given) -> Memory:
        """Encode the input."""

    @abstractmethod
    def decode(self, tokens: Tensor, memory: Memory) -> Tensor:
        """Hidden states (B, T, E), causal in `tokens` (B, T)."""

    def further_losses(self, batch: BaselineBatch, memory: Memory) -> dict[str, tuple[float, Tensor]]:
        """Further losses: weight and sum in nats over this worker's text tokens, by name."""
        return {}

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary (..., vocabulary) of hidden states (..., E)."""
        return self.output(self.dropout(hidden))

    def nats(self, batch: BaselineBatch, memory: Memory | None = None) -> Tensor:
        """Sum of −log p(target) over the targets that are not IGNORED; `memory` is the encoded input, if available."""
        real = batch.targets != IGNORED
        hidden = self.decode(batch.tokens, self.read(batch.given) if memory is None else memory)
        return F.cross_entropy(self.logits(hidden[real]), batch.targets[real], reduction="sum")

    def loss(self, batch: BaselineBatch) -> Tensor:
        """Cross entropy in nats per token."""
        return self.nats(batch) / (batch.targets != IGNORED).sum()

    def forward(self, batch: BaselineBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Training loss, and its detached parts.

        As in our generator's objective, means are over the tokens of the global batch: the mean of what the workers
        return, weighted by their examples, is the loss of one worker with the whole batch.
        """
        own, memory = len(batch.given), self.read(batch.given)
        counts = [own, int((batch.targets != IGNORED).sum()), int(batch.text_mask.sum())]
        examples, targets, words = sum_over_workers(torch.tensor(counts, device=batch.tokens.device)).tolist()
        ce = self.nats(batch, memory) / targets * (examples / own)
        total, parts = ce, {"ce": ce.detach()}
        for name, (weight, nats) in self.further_losses(batch, memory).items():
            value = nats / max(words, 1) * (examples / own)
            total, parts[name] = total + weight * value, value.detach()
        return total, parts

    @torch.no_grad()
    def write(self, given: Given, max_tokens: int | None = None, beams: int | None = None) -> list[list[int]]:
        """Token ids of an explanation for each example, without the begin and the end token.

        Args:
            given: what is read.
            max_tokens: maximum length; None uses the config's.
            beams: of beam search; 1 is greedy; None uses the config's.
        """
        if not len(given):
            return []
        config = self.config
        how = Decoding(max_tokens or config.max_tokens, beams or config.beams, config.no_repeat_ngram)
        model = Rereading(self, self.read(given), how.beams)
        return write_with(model, len(given), int(self.tokenizer.eos_token_id), how, given.users.device)

    def texts(self, given: Given, beams: int | None = None) -> list[str]:
        """Like `write`, but decoded to text."""
        return [decode_text(self.tokenizer, ids).strip() for ids in self.write(given, beams=beams)]

    def standardise(self, images: Tensor, reviews: Tensor) -> None:
        """Set mean and scale of the input from features (n, D) and (m, D') of the training split."""
        for name, features in (("images", images), ("reviews", reviews), ("item_reviews", reviews)):
            projection = getattr(self, name, None)
            if isinstance(projection, Projection):
                projection.standardise(features)

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json, model.safetensors, the tokenizer's files, and the ids if the kind uses them."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        self.tokenizer.save_pretrained(str(folder))
        if "ids" in self.reads:
            (folder / IDS_FILE).write_text(json.dumps(asdict(self.ids)))
        description = {
            "kind": KIND,
            "embedding_space": self.embedding_space,
            "image_dim": self.image_dim,
            "text_dim": self.text_dim,
            "parameters": self.parameter_count,
            "baseline": asdict(self.config),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(description, indent=2, sort_keys=True))

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Read what `save_pretrained` wrote; in evaluation mode.

        Raises:
            ModelError: the folder is incomplete, or not of this kind.
        """
        folder = Path(folder)
        found = description(folder)
        config = BaselineConfig(**found["baseline"])
        if config.name != cls.name:
            raise ModelError(f"{folder / CONFIG_FILE}: of {config.name}, not of {cls.name}")
        dims, space = (found["image_dim"], found["text_dim"]), found["embedding_space"]
        model = cls(config, load_tokenizer(folder), *dims, space, _ids(folder))
        try:
            model.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except RuntimeError as error:
            raise ModelError(f"{folder / WEIGHTS_FILE}: does not fit its config: {error}") from error
        return model.eval()


class Rereading:
    """Step-wise decoding for a baseline without a cache: recomputes the whole text at each step.

    Args:
        model: in evaluation mode.
        memory: of B examples.
        beams: K rows per example.
    """

    def __init__(self, model: Baseline, memory: Memory, beams: int) -> None:
        self.model, self.beams = model, beams
        self.memory = tuple(part.repeat_interleave(beams, dim=0) for part in memory)
        self.tokens = torch.zeros(len(self.memory[0]), 0, dtype=torch.long, device=self.memory[0].device)

    def step(self, tokens: Tensor) -> Tensor:
        """Scores (R, vocabulary) of the token after `tokens` (R,)."""
        self.tokens = torch.cat([self.tokens, tokens[:, None]], dim=1)
        return self.model.logits(self.model.decode(self.tokens, self.memory)[:, -1]).float()

    def take_beams(self, parents: Tensor) -> None:
        """Reorder the beams: parents (B, K) are beams of the same example; the encoded input is unchanged."""
        first = torch.arange(len(parents), device=parents.device)[:, None] * self.beams
        self.tokens = self.tokens[(first + parents).flatten()]

    def take_examples(self, examples: Tensor) -> None:
        """Continue with a subset of the examples (b,)."""
        rows = (examples[:, None] * self.beams + torch.arange(self.beams, device=examples.device)).flatten()
        self.tokens, self.memory = self.tokens[rows], tuple(part[rows] for part in self.memory)


def description(folder: Path) -> dict[str, Any]:
    """The folder's config.json.

    Raises:
        ModelError: the folder is incomplete, or not of a baseline.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no {name}; a baseline's folder is written by `Baseline.save_pretrained`")
    found: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    if found.get("kind") != KIND:
        raise ModelError(f"{folder / CONFIG_FILE}: of {found.get('kind')!r}, not of a baseline")
    return found


def _ids(folder: Path) -> Ids:
    if not (folder / IDS_FILE).is_file():
        return Ids()
    found = json.loads((folder / IDS_FILE).read_text())
    return Ids(tuple(found["users"]), tuple(found["items"]))
