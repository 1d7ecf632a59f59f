"""The trained generator as a callable on NumPy batches, for Ray Data, a Serve replica or a plain test alike."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showcases.errors import ModelError
from showcases.generator.model import Generator
from showcases.generator.weights import Precision


class GeneratorPredictor:
    """Writes explanations by beam search; the same batch gives the same texts.

    Args:
        folder: a trained variant, written by `Generator.save_pretrained`.
        beams: 1 is greedy; none takes the model's config.
        device: torch device.
        precision: of the decoder, see `DecoderMaps`: bfloat16 and int8 write faster.

    Raises:
        ModelError: the folder holds no generator.
        ConfigError: there is no such precision.
    """

    def __init__(
        self, folder: str | Path, beams: int | None = None, device: str = "cpu", precision: Precision = "float32"
    ) -> None:
        self.model = Generator.from_pretrained(Path(folder)).to(device).eval()
        self.decoding, self.device = self.model.decoding(beams, precision), device

    @property
    def embedding_space(self) -> str:
        """Model id of the embeddings that it reads."""
        return self.model.embedding_space

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write an explanation for each row.

        Args:
            batch: images (B, I, D) and reviews (B, R, D') float, padded; n_images and n_reviews (B,), the real ones of
                each row, which may be 0. Photos beyond max_images and reviews beyond max_reviews are not read.

        Returns:
            text: (B,) objects of str.

        Raises:
            ModelError: features of another width than the model's.
        """
        config = self.model.config
        images, image_mask = self._part(batch, "images", "n_images", config.max_images, self.model.image_dim)
        reviews, review_mask = self._part(batch, "reviews", "n_reviews", config.max_reviews, self.model.text_dim)
        texts = np.empty(len(images), dtype=object)
        if len(images):
            texts[:] = self.model.generate(images, image_mask, reviews, review_mask, decoding=self.decoding)
        return {"text": texts}

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
