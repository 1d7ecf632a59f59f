"""The encoder of embed, serving and tests: maps photos' bytes and sentences to unit vectors."""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from showcases.clip import model as clip_model
from showcases.clip.config import Dtype
from showcases.photos import PhotoError, to_pixels


class ClipEncoder:
    """A CLIP in evaluation mode on one device.

    Attributes:
        model_id: identifies architecture and weights; vectors are comparable only if it is equal.
        dtype: of weights and arithmetic, can be changed at any time; vectors are always float32.
        dim: width of the shared space.
        image_size: px.
    """

    def __init__(
        self, model: nn.Module, config: dict, model_id: str, device: str = "cpu", dtype: Dtype = "float32"
    ) -> None:
        self.model_id, self.device = model_id, device
        preprocess = config["preprocess_cfg"]
        size = preprocess["size"]
        self.image_size = int(size if isinstance(size, int) else size[0])
        self._mean = torch.tensor(preprocess["mean"], device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocess["std"], device=device).view(1, 3, 1, 1)
        self.model = model.to(device).eval()
        self.dtype = dtype
        self._tokenizer = clip_model.tokenizer(config)
        self.dim = int(self.encode_text(["."]).shape[1])

    @property
    def dtype(self) -> Dtype:
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Dtype) -> None:
        # A rounded copy of the weights: autocast would round them at each call, which makes a CPU slower.
        if dtype == "float32":
            self._working = self.model
        elif dtype != getattr(self, "_dtype", None):
            tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
            rounded = {id(tensor): _rounded(tensor) for _, tensor in tensors if tensor.is_floating_point()}
            self._working = copy.deepcopy(self.model, rounded)  # tensors in the memo are not copied
            if self.device == "cpu":
                clip_model.put_tokens_first(self._working)
        self._dtype = dtype

    @classmethod
    def from_pretrained(cls, folder: Path, device: str = "cpu", dtype: Dtype = "float32") -> "ClipEncoder":
        """Load a `clip` artifact.

        Raises:
            ModelError: the folder is not such an artifact, or its weights are unavailable.
        """
        return cls(*clip_model.load(Path(folder)), device=device, dtype=dtype)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 unit vectors of n texts; longer texts than CLIP's context are truncated."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        tokens = self._tokenizer(list(texts)).to(self.device)
        with torch.inference_mode():
            return self._unit(self._working.encode_text(tokens))  # type: ignore[operator]

    def encode_images(self, photos: Sequence[bytes], threads: int = 1) -> tuple[np.ndarray, list[str | None]]:
        """(n, d) float32 unit vectors of n photos, and an error for each that does not decode (its row is zero)."""
        with ThreadPoolExecutor(threads) as pool:
            decoded = list(pool.map(self._decode, photos))
        vectors = np.zeros((len(photos), self.dim), np.float32)
        good = [row for row, (pixels, _) in enumerate(decoded) if pixels is not None]
        if good:
            vectors[good] = self.encode_pixels(np.stack([decoded[row][0] for row in good]))  # type: ignore[misc]
        return vectors, [error for _, error in decoded]

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(n, d) float32 unit vectors of (n, size, size, 3) uint8 pixels."""
        batch = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        batch = (batch / 255 - self._mean) / self._std  # (n, 3, size, size)
        with torch.inference_mode():
            return self._unit(self._working.encode_image(batch.to(getattr(torch, self.dtype))))  # type: ignore[operator]

    def _decode(self, data: bytes) -> tuple[np.ndarray | None, str | None]:
        try:
            return to_pixels(data, self.image_size), None
        except PhotoError as error:
            return None, str(error)

    def _unit(self, features: Tensor) -> np.ndarray:
        return nn.functional.normalize(features.float(), dim=-1).cpu().numpy()


def _rounded(tensor: Tensor) -> Tensor:
    rounded = tensor.detach().to(torch.bfloat16)
    return nn.Parameter(rounded, requires_grad=False) if isinstance(tensor, nn.Parameter) else rounded
