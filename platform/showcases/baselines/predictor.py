"""A trained baseline as a callable on NumPy batches, with the interface of our generator's predictor."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from showcases.baselines.data import Given
from showcases.baselines.kinds import load_baseline
from showcases.errors import ModelError


class BaselinePredictor:
    """Writes explanations, in float32, by beam search; deterministic.

    Args:
        folder: of a trained baseline.
        beams: 1 is greedy; None uses the model's config.
        device: torch device.

    Raises:
        ModelError: the folder does not contain a baseline.
    """

    def __init__(self, folder: str | Path, beams: int | None = None, device: str = "cpu") -> None:
        self.model = load_baseline(folder).to(device).eval()
        self.beams, self.device = beams, device

    @property
    def embedding_space(self) -> str:
        """Model id of the embeddings that the model reads."""
        return self.model.embedding_space

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write an explanation for each row.

        Args:
            batch: as of GeneratorPredictor images (B, I, D), n_images, reviews (B, R, D') and n_reviews; item_reviews
                (B, Q, D') and n_item_reviews for Ref2Seq; user_id and business_id (B,) for PETER, to which those that
                were not in the training split are unknown. Columns that the model does not read are optional.

        Returns:
            text: (B,) objects of str.

        Raises:
            ModelError: a column that it reads is missing, or has features of another width than the model's.
        """
        given = self._given(batch)
        texts = np.empty(len(given), dtype=object)
        if len(given):
            texts[:] = self.model.texts(given, self.beams)
        return {"text": texts}

    def _given(self, batch: dict[str, np.ndarray]) -> Given:
        count = len(next(iter(batch.values())))
        config, model = self.model.config, self.model
        images, image_mask = self._features(batch, "images", count, config.max_images, model.image_dim)
        reviews, review_mask = self._features(batch, "reviews", count, config.max_reviews, model.text_dim)
        others, other_mask = self._features(batch, "item_reviews", count, config.max_reviews, model.text_dim)
        users = items = [0] * count
        if "ids" in model.reads:
            users = model.ids.user_numbers(self._column(batch, "user_id").tolist())
            items = model.ids.item_numbers(self._column(batch, "business_id").tolist())
        numbers = (torch.tensor(part, dtype=torch.long, device=self.device) for part in (users, items))
        return Given(images, image_mask, reviews, review_mask, others, other_mask, *numbers)

    def _features(
        self, batch: dict[str, np.ndarray], name: str, rows: int, largest: int, dim: int
    ) -> tuple[Tensor, Tensor]:
        """Padded features and their mask; empty if the model does not read them."""
        if name not in self.model.reads:
            nothing = torch.zeros(rows, 0, dim, device=self.device)
            return nothing, nothing.any(dim=2)
        features = torch.as_tensor(np.asarray(self._column(batch, name), dtype=np.float32), device=self.device)
        features = features[:, :largest]
        if features.ndim != 3 or features.shape[2] != dim:
            raise ModelError(
                f"{name} has the shape {tuple(batch[name].shape)}, (rows, {name}, {dim}) is needed: embeddings of "
                f"the space {self.model.embedding_space!r}"
            )
        numbers = torch.as_tensor(np.asarray(self._column(batch, f"n_{name}"), np.int64), device=self.device)
        return features, torch.arange(features.shape[1], device=self.device) < numbers[:, None]

    def _column(self, batch: dict[str, np.ndarray], name: str) -> np.ndarray:
        if name not in batch:
            raise ModelError(f"no column {name}, which {self.model.name} reads; the batch has {', '.join(batch)}")
        return batch[name]
