"""Φ, the classifier of (sentence, photo) pairs (paper section 3.3): used to distill reviews into explanations
and to score CLIP-Align."""

import json
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from showcases.errors import ModelError

Features = Literal["concat", "interaction"]


class PairClassifier(nn.Module):
    """One fully connected layer over a photo's and a sentence's CLIP features.

    Args:
        dim: d, of one CLIP feature.
        features: concat is [v; t]; interaction is [v; t; v * t].
        threshold: minimum probability of a matching pair (chosen on the validation split).
        embedding_space: `EmbeddingTable.model_id` of the features it was trained on.
    """

    def __init__(
        self, dim: int, features: Features = "interaction", threshold: float = 0.5, embedding_space: str = ""
    ) -> None:
        super().__init__()
        if features not in get_args(Features):
            raise ModelError(f"features {features!r}; allowed: {', '.join(get_args(Features))}")
        self.dim, self.features = dim, features
        self.threshold, self.embedding_space = threshold, embedding_space
        self.layer = nn.Linear(dim * (2 if features == "concat" else 3), 1)
        nn.init.zeros_(self.layer.weight)  # a convex problem: the same start for every seed
        nn.init.zeros_(self.layer.bias)

    def forward(self, sentences: Tensor, photos: Tensor) -> Tensor:
        """Logits (n,) of the pairs; sentences and photos are (n, d) unit rows."""
        scale = self.dim**0.5  # entries of a unit vector are about 1/sqrt(d): scale them, and their product, to 1
        photos, sentences = photos * scale, sentences * scale
        parts = [photos, sentences]
        if self.features == "interaction":
            parts.append(photos * sentences)
        return self.layer(torch.cat(parts, dim=-1)).squeeze(-1)

    @torch.no_grad()
    def score(self, sentences: np.ndarray, photos: np.ndarray) -> np.ndarray:
        """Probability that each photo matches its sentence.

        Args:
            sentences: (n, d) unit rows.
            photos: (n, d) unit rows.

        Returns:
            (n,) float32, 0 to 1.

        Raises:
            ModelError: d differs from training.
        """
        for name, array in (("sentences", sentences), ("photos", photos)):
            if array.ndim != 2 or array.shape[1] != self.dim:
                raise ModelError(f"{name} of shape {array.shape}; this classifier takes (n, {self.dim})")
        device = self.layer.weight.device
        text = torch.from_numpy(np.asarray(sentences, np.float32)).to(device)
        image = torch.from_numpy(np.asarray(photos, np.float32)).to(device)
        return torch.sigmoid(self(text, image)).cpu().numpy()

    def score_all(self, sentences: np.ndarray, photos: np.ndarray) -> np.ndarray:
        """Probabilities (m, n) of all pairs of m sentences and n photos."""
        m, n = len(sentences), len(photos)
        return self.score(np.repeat(sentences, n, axis=0), np.tile(photos, (m, 1))).reshape(m, n)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ("dim", "features", "threshold", "embedding_space")
        config = {name: getattr(self, name) for name in names}
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}, folder / "model.safetensors"
        )

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "PairClassifier":
        """Read what `save_pretrained` wrote.

        Raises:
            ModelError: the folder does not contain such a model.
        """
        try:
            model = cls(**json.loads((Path(folder) / "config.json").read_text()))
            model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder}: no pair classifier found ({error}); run jobs.distill to create it") from error
        return model.eval()
