"""The trained generator as a callable on NumPy batches, for Ray Data, a Serve replica or a plain test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showcases.errors import ModelError
from showcases.generator.config import Precision
from showcases.generator.decoding import Banned, Decoding
from showcases.generator.model import Generator
from showcases.generator.rules import banned_tokens


class GeneratorPredictor:
    """Writes explanations by beam search; deterministic.

    Args:
        folder: a trained variant, written by `Generator.save_pretrained`.
        beams: 1 is greedy; None uses the model's config.
        device: torch device.
        precision: of the decoder, see `DecoderMaps`: bfloat16 and int8 write faster.

    Raises:
        ModelError: the folder does not contain a generator.
        ConfigError: unknown precision.
    """

    def __init__(
        self, folder: str | Path, beams: int | None = None, device: str = "cpu", precision: Precision = "float32"
    ) -> None:
        self.model = Generator.from_pretrained(Path(folder)).to(device).eval()
        self.decoding, self.device = self.model.decoding(beams, precision), device

    @property
    def embedding_space(self) -> str:
        """Model id of the embeddings that the model reads."""
        return self.model.embedding_space

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write an explanation for each row.

        Args:
            batch: images (B, I, D) and reviews (B, R, D') float, padded; n_images and n_reviews (B,), the real ones of
                each row, which may be 0. Photos beyond max_images and reviews beyond max_reviews are ignored.
                    Optional `avoid`: (B,) objects, lists of words that must not be written.

        Returns:
            text: (B,) objects of str.

        Raises:
            ModelError: features of another width than the model's.
        """
        return {"text": self._texts(batch, self.decoding)}

    def drawn(self, batch: dict[str, np.ndarray], seed: int, top_p: float = 0.9) -> dict[str, np.ndarray]:
        """Like `__call__`, with nucleus sampling instead of beam search; texts depend on the seed."""
        how = replace(self.decoding, beams=1, top_p=top_p, seed=seed)
        return {"text": self._texts(batch, how)}

    def stream(self, batch: dict[str, np.ndarray]) -> Iterator[dict[int, str]]:
        """Stream new text by row; always greedy, unlike `__call__`, which may use beams.

        Raises:
            ModelError: features of another width than the model's.
        """
        how = replace(self.decoding, beams=1)
        return self.model.stream(*self._parts(batch), decoding=how, banned=self._banned(batch))

    def _texts(self, batch: dict[str, np.ndarray], how: Decoding) -> np.ndarray:
        parts = self._parts(batch)
        texts = np.empty(len(parts[0]), dtype=object)
        if len(texts):
            texts[:] = self.model.generate(*parts, decoding=how, banned=self._banned(batch))
        return texts

    def _parts(self, batch: dict[str, np.ndarray]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        config = self.model.config
        images = self._part(batch, "images", "n_images", config.max_images, self.model.image_dim)
        reviews = self._part(batch, "reviews", "n_reviews", config.max_reviews, self.model.text_dim)
        return (*images, *reviews)

    def _banned(self, batch: dict[str, np.ndarray]) -> Banned:
        if "avoid" not in batch:
            return None
        return [banned_tokens(self.model.tokenizer, words) for words in batch["avoid"]]

    def _part(
        self, batch: dict[str, np.ndarray], name: str, count: str, largest: int, dim: int
    ) -> tuple[Tensor, Tensor]:
        features = torch.as_tensor(np.asarray(batch[name], dtype=np.float32), device=self.device)[:, :largest]
        if features.ndim != 3 or features.shape[2] != dim:
            raise ModelError(
                f"{name} has the shape {tuple(batch[name].shape)}, (rows, {name}, {dim}) is needed: embeddings of "
                f"the space {self.model.embedding_space!r}"
            )
        numbers = torch.as_tensor(np.asarray(batch[count], dtype=np.int64), device=self.device)
        return features, torch.arange(features.shape[1], device=self.device) < numbers[:, None]  # (B, N)
