"""The selector as a callable on NumPy batches, for Ray Data, a Serve replica or a plain test."""

from pathlib import Path

import numpy as np
import torch

from showcases.errors import ModelError
from showcases.selector.model import Selector


class SelectorPredictor:
    """Chooses photos with a trained selector.

    Args:
        folder: written by `Selector.save_pretrained`.
        k: photos to choose.
        theta: quality/diversity dial; by default the model's, see SelectorConfig.
        device: torch device of the model.
    """

    def __init__(self, folder: Path | str, k: int = 3, theta: float | None = None, device: str = "cpu") -> None:
        self.model = Selector.from_pretrained(Path(folder)).to(device)
        self.k, self.theta, self.device = k, theta, device

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Choose photos for each row.

        Args:
            batch: profile (B, P), images (B, N, D) padded, n_images (B,). Optional theta, (B,): per row, NaN for
                this predictor's.

        Returns:
            chosen: (B, k) int64, indices of images, -1 where no item is left.
            relevance: (B, N) float32, q > 0; 0 for padding.

        Raises:
            ModelError: the features have other widths than in training.
        """
        profiles, images = self._tensor(batch["profile"]), self._tensor(batch["images"])
        self._check(profiles, images)
        counts = torch.as_tensor(np.asarray(batch["n_images"], dtype=np.int64), device=self.device)
        mask = torch.arange(images.shape[1], device=self.device)[None, :] < counts[:, None]  # (B, N)
        with torch.no_grad():
            images = images.masked_fill(~mask[:, :, None], 0.0)
            chosen = self.model.select(profiles, images, mask, self.k, theta=self._theta(batch))
            relevance = self.model.relevance(profiles, images).masked_fill(~mask, 0.0)
        return {"chosen": chosen.cpu().numpy(), "relevance": relevance.cpu().numpy()}

    def _theta(self, batch: dict[str, np.ndarray]) -> float | torch.Tensor | None:
        """A scalar for all rows, or (B, 1)."""
        if "theta" not in batch:
            return self.theta
        default = self.model.config.theta if self.theta is None else self.theta
        return self._tensor(np.nan_to_num(np.asarray(batch["theta"], np.float32), nan=default))[:, None]

    def _check(self, profiles: torch.Tensor, images: torch.Tensor) -> None:
        found, needed = (profiles.shape[-1], images.shape[-1]), (self.model.profile_dim, self.model.image_dim)
        if found != needed:
            space = self.model.embedding_space or "its own encoder"
            raise ModelError(
                f"features have widths {found} (profile, image), the selector was trained on {needed}: "
                f"use embeddings of {space} and a {self.model.profile} profile"
            )

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        if array.dtype == object:  # ragged columns of Ray Data have dtype object
            array = np.stack(list(array))
        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.float32), device=self.device)
