"""BERTScore (Zhang et al. 2020) by the bert-score package with a configured model."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch

from showcases.errors import ConfigError
from showcases.extras import imports_of
from showcases.metrics.text import Figure, mean_figure

NO_MODEL = Figure(None, 0, "", note="n/a (no model)")
LONGEST = 512  # tokens; some tokenizers have no limit


class BertScorer:
    """F1 of greedy matching, without idf weights and without rescaling by a baseline.

    Args:
        model: a transformers encoder, by its folder or its name on the hub.
        layer: hidden layer whose vectors are matched, 0 being the embeddings; None uses the last. Published scores of
            roberta-large use layer 17.
        device: for torch.
        batch_size: texts encoded at once.

    Raises:
        ConfigError: the model can't be loaded or has no such layer.
    """

    def __init__(
        self, model: str, layer: int | None = None, device: torch.device | str = "cpu", batch_size: int = 32
    ) -> None:
        from showcases.compat import import_torchvision, limit_tokens

        import_torchvision()
        with imports_of("studies"):
            import bert_score  # lazy: slow to import, and rarely used
        import transformers

        try:
            layers = transformers.AutoConfig.from_pretrained(model).num_hidden_layers
            if layer is not None and not 0 <= layer <= layers:
                raise ConfigError(f"bertscore_layer {layer}: {model!r} has layers 0 to {layers}")
            self.layer = layers if layer is None else layer
            self.scorer = bert_score.BERTScorer(model, self.layer, batch_size=batch_size, device=str(device))
        except (OSError, ValueError) as error:
            raise ConfigError(f"bertscore_model {model!r}: no folder or hub model that loads ({error})") from error
        limit_tokens(self.scorer, LONGEST)
        self.name = model

    def __call__(self, hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
        """Mean F1 over the examples."""
        library = f"bert-score {version('bert-score')} (no idf, not rescaled), layer {self.layer} of {self.name}"
        tokenizer = f"the model's, transformers {version('transformers')}"
        return mean_figure(self.f1(hypotheses, references), library, tokenizer, "n/a (no texts)")

    def f1(self, hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """(n,) F1 of each pair, -1 to 1; 0 if a text is empty, which bert-score can't encode."""
        scores = np.zeros(len(hypotheses))
        pairs = list(zip(hypotheses, references, strict=True))
        if filled := [place for place, pair in enumerate(pairs) if all(text.strip() for text in pair)]:
            found = self.scorer.score([hypotheses[place] for place in filled], [references[place] for place in filled])
            scores[filled] = found[2].numpy()
        return scores
