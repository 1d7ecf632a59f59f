"""The selector: builds a DPP from a user's profile and a restaurant's photos, and selects the photos to show."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from showcases.arrays import numpy_or_tensors
from showcases.errors import ConfigError, ModelError
from showcases.model_card import Training
from showcases.selector.card import selector_card
from showcases.selector.config import Profile, SelectorConfig
from showcases.selector.greedy import greedy_map
from showcases.selector.kernel import deep_kernel, rbf_kernel
from showcases.selector.profiles import profile_dim
from showcases.selector.towers import Tower, bounded_exp, start_alike

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


class Selector(nn.Module):
    """Two towers and a kernel (paper section 4.1).

    Args:
        config: architecture.
        profile: features of the user's profile.
        image_dim: Di, of the photos' embeddings.
        text_dim: Dt, of the reviews' embeddings.
        embedding_space: `EmbeddingTable.model_id` of the embeddings it is trained on.
    """

    def __init__(
        self, config: SelectorConfig, profile: Profile, image_dim: int, text_dim: int, embedding_space: str = ""
    ) -> None:
        super().__init__()
        _check(config)
        self.config, self.profile, self.embedding_space = config, profile, embedding_space
        self.image_dim, self.text_dim = image_dim, text_dim
        self.user_tower = Tower(self.profile_dim, config.hidden_dims, config.out_dim)
        self.image_tower = Tower(image_dim, config.hidden_dims, config.out_dim)
        self.bias = nn.Parameter(torch.tensor(-1.0))  # bias of log q: most photos are not chosen

    @property
    def profile_dim(self) -> int:
        """P, the width of a profile."""
        return profile_dim(self.profile, self.text_dim, self.image_dim)

    @torch.no_grad()
    def start_from_similarity(self, profiles: Tensor, photos: Tensor, pairs: int = 256) -> None:
        """Initialise the weights from training data: relevance increases with the similarity of profile and photo.

        log q over pairs of users and photos gets mean -1.5 and standard deviation 1: most photos are not chosen.

        Past photos have twice the weight of past texts, whose similarity to a photo is cross-modal.

        Args:
            profiles: (m, P) training profiles.
            photos: (n, Di) training photos.
            pairs: rows of each for estimating the distribution.
        """
        parts = {"text": [self.text_dim], "img": [self.image_dim], "img+text": [self.text_dim, self.image_dim]}
        weights = (0.5, 1.0) if self.profile == "img+text" else (1.0,)
        start_alike(self.user_tower, self.image_tower, profiles.split(parts[self.profile], dim=1), weights, photos)
        users = self.user_tower(profiles[torch.randperm(len(profiles))[:pairs]])
        logits = users @ self.image_tower(photos[torch.randperm(len(photos))[:pairs]]).T
        scale = 1 / max(float(logits.std(correction=0)), 1e-6)
        for tower in (self.user_tower, self.image_tower):
            for parameter in tower.linears[-1].parameters():
                parameter.mul_(scale**0.5)
        self.bias.fill_(-1.5 - scale * float(logits.mean()))

    def forward(
        self,
        profiles: Tensor,
        images: Tensor,
        mask: Tensor,
        candidates: Tensor | None = None,
        theta: float | Tensor = 1.0,
    ) -> Tensor:
        """The DPP kernel of each user's candidates.

        Args:
            profiles: (B, P).
            images: (B, N, D); or (U, D), the batch's distinct photos, with `candidates`. Restaurants share their
                photos among many users, so the second form runs the image tower far less often.
            mask: (B, N) bool, True for real photos.
            candidates: (B, N) long, rows of `images`; any valid row at padding.
            theta: quality/diversity dial: relevance is q ** theta, 0 uses diversity only; a scalar, or (B, 1).

        Returns:
            (B, N, N), symmetric positive semi-definite, zeros for padding.
        """
        if candidates is None:
            images = images.masked_fill(~mask[:, :, None], 0.0)
        relevance = self.relevance(profiles, images, candidates) ** theta
        if candidates is not None:
            images = images[candidates]  # (B, N, D)
        return self.kernel(relevance, images, mask)

    def kernel(self, relevance: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """(B, N, N) of the configured form, from relevance (B, N), images (B, N, D) and mask (B, N)."""
        if self.config.kernel == "rbf":
            return rbf_kernel(relevance, images, mask, self.config.alpha, self.config.sigma)
        return deep_kernel(relevance, images, mask, self.config.delta)

    def relevance(self, profiles: Tensor, images: Tensor, candidates: Tensor | None = None) -> Tensor:
        """(B, N) q > 0: exp of the bounded dot product of both towers; arguments as in `forward`."""
        users = self.user_tower(profiles)  # (B, out)
        items = self.image_tower(images)  # (B, N, out) or (U, out)
        if candidates is not None:
            items = F.embedding(candidates, items)  # (B, N, out); its backward is much faster than that of indexing
        logits = torch.einsum("bd,bnd->bn", users, items) + self.bias
        return bounded_exp(logits, self.config.max_log_relevance)

    @numpy_or_tensors
    @torch.no_grad()
    def select(
        self,
        profiles: Tensor,
        images: Tensor,
        mask: Tensor | None = None,
        k: int = 3,
        candidates: Tensor | None = None,
        theta: float | Tensor | None = None,
    ) -> Tensor:
        """The k photos to show, by greedy MAP (paper section 4.1).

        Args:
            profiles: (B, P), or (P,) of one user; see `user_profile`.
            images: (B, N, D) or (N, D), or (U, D) with `candidates`, as in `forward`.
            mask: (B, N) bool, True for real photos; by default all are.
            k: photos, at least 1.
            candidates: as in `forward`.
            theta: quality/diversity dial; by default the config's.

        Returns:
            (B, k), or (k,) of one user, long: indices of candidates, -1 where no item is left. A tensor or an array
            like the arguments.
        """
        if profiles.ndim == 1:
            return self.select(profiles[None], images[None], None if mask is None else mask[None], k, None, theta)[0]
        theta = self.config.theta if theta is None else theta
        if mask is None:
            shape = images.shape[:2] if candidates is None else candidates.shape
            mask = torch.ones(shape, dtype=torch.bool, device=images.device)
        return greedy_map(self(profiles, images, mask, candidates, theta), mask, k)

    def save_pretrained(self, folder: Path, training: Training | None = None) -> None:
        """Write config.json, model.safetensors and a model card with `training`."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "profile": self.profile,
            "image_dim": self.image_dim,
            "text_dim": self.text_dim,
            "embedding_space": self.embedding_space,
            "model": asdict(self.config),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True))
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS_FILE)
        selector_card(self).write(folder, training)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> "Selector":
        """Read what `save_pretrained` wrote; in evaluation mode.

        Raises:
            ModelError: a file is missing, or the weights don't match the config.
        """
        folder = Path(folder)
        try:
            values = json.loads((folder / CONFIG_FILE).read_text())
            weights = load_file(folder / WEIGHTS_FILE)
            options = values.pop("model")
            config = SelectorConfig(**{**options, "hidden_dims": tuple(options["hidden_dims"])})
            model = cls(config, **values)
            model.load_state_dict(weights)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder}: not a selector written by jobs.train_selector: {error}") from error
        return model.eval()


def _check(config: SelectorConfig) -> None:
    positive = {"max_log_relevance": config.max_log_relevance}
    positive |= {"delta": config.delta} if config.kernel == "deep" else {"alpha": config.alpha, "sigma": config.sigma}
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(f"train_selector.model.{name} is {value}; it must be above 0")
