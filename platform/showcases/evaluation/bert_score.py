"""BERTScore by greedy matching of a local language model's word vectors (Zhang et al. 2020)."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from showcases.errors import ConfigError
from showcases.evaluation.text_metrics import Figure, mean_figure

if TYPE_CHECKING:
    from transformers import BatchEncoding

NO_MODEL = Figure(None, 0, "", note="n/a (no model)")


class BertScorer:
    """F1 of greedy matching; every word counts alike (no idf) and nothing is rescaled by a baseline.

    Args:
        model: a transformers encoder, by its folder or its name on the hub.
        layer: hidden layer whose vectors are matched, 0 being the embeddings; None takes the last. The figures that
            people print for roberta-large are of layer 17.
        device: for torch.
        batch_size: texts encoded at once.

    Raises:
        ConfigError: the model can't be loaded or has no such layer.
    """

    def __init__(
        self, model: str, layer: int | None = None, device: torch.device | str = "cpu", batch_size: int = 32
    ) -> None:
        from showcases.compat import import_torchvision

        import_torchvision()
        import transformers  # here: takes seconds to import, and most evaluations name no model

        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(model)
            self.model = transformers.AutoModel.from_pretrained(model).to(device).eval()
        except (OSError, ValueError) as error:
            raise ConfigError(f"bertscore_model {model!r}: no folder or hub model that loads ({error})") from error
        layers = self.model.config.num_hidden_layers
        if layer is not None and not 0 <= layer <= layers:
            raise ConfigError(f"bertscore_layer {layer}: {model!r} has layers 0 to {layers}")
        self.layer = layers if layer is None else layer
        self.name, self.device, self.batch_size = model, device, batch_size
        self.longest = min(self.tokenizer.model_max_length, 512)  # some tokenizers name no limit

    def __call__(self, hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
        """Mean F1 over the examples."""
        library = f"showcases BERTScore (no idf, not rescaled), layer {self.layer} of {self.name}"
        tokenizer = f"the model's, transformers {version('transformers')}"
        return mean_figure(self.f1(hypotheses, references), library, tokenizer, "n/a (no texts)")

    def f1(self, hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """(n,) F1 of each pair, -1 to 1; 0 where a text is empty."""
        starts = range(0, len(hypotheses), self.batch_size)
        parts = [slice(start, start + self.batch_size) for start in starts]
        found = [greedy_f1(*self._vectors(hypotheses[part]), *self._vectors(references[part])) for part in parts]
        return torch.cat(found).numpy() if found else np.zeros(0)

    @torch.no_grad()
    def _vectors(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors (B, T, D), which tokens are there (B, T) bool, and which of them are no marks of the model's."""
        batch: BatchEncoding = self.tokenizer(
            list(texts),
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.longest,
            return_special_tokens_mask=True,
        )
        marks = batch.pop("special_tokens_mask").bool()
        there = batch["attention_mask"].bool()
        hidden = self.model(**batch.to(self.device), output_hidden_states=True).hidden_states[self.layer]
        return F.normalize(hidden.float(), dim=-1).cpu(), there.cpu(), (there.cpu() & ~marks)


def greedy_f1(
    found: Tensor, found_there: Tensor, found_words: Tensor, wanted: Tensor, wanted_there: Tensor, wanted_words: Tensor
) -> Tensor:
    """(B,) F1 of precision (each word with the likest token of the other text) and recall (the other way round).

    As in the bert-score package a word may match [CLS] or [SEP], which themselves count for nothing.

    Args:
        found, wanted: (B, T, D) and (B, S, D) unit vectors.
        found_there, wanted_there: (B, T) and (B, S) bool, not padding.
        found_words, wanted_words: likewise, neither padding nor the model's own marks.
    """
    cosines = found @ wanted.transpose(1, 2)  # (B, T, S)
    cosines = cosines.masked_fill(~(found_there[:, :, None] & wanted_there[:, None, :]), -torch.inf)
    precision = _mean(cosines.amax(2), found_words)
    recall = _mean(cosines.amax(1), wanted_words)
    both = found_words.any(1) & wanted_words.any(1)
    f1 = 2 * precision * recall / (precision + recall)
    return torch.where(both & f1.isfinite(), f1, 0.0).double()


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """(B,) mean of values (B, T) where counted (B, T); the others may be infinite."""
    return values.where(counted, 0.0).sum(1) / counted.sum(1).clamp_min(1)
