"""User profiles: the mean of past reviews' text features and of past photos' features.

Profiles depend on vectors only, so unseen users and typed keywords work the same way.
"""

import numpy as np

from showcases.errors import ConfigError
from showcases.selector.config import Profile


def user_profile(text: np.ndarray, images: np.ndarray, kind: Profile) -> np.ndarray:
    """A user's profile.

    Args:
        text: (R, Dt) features of past reviews (`review_features`), or of typed keywords; R may be 0.
        images: (M, Di) features of past photos; M may be 0.
        kind: which of the two to use.

    Returns:
        (P,) float32: the mean of each, zeros for an empty one, concatenated (text first) for img+text.

    Source: paper section 4.1.
    """
    parts = {"text": _mean(text, "text"), "img": _mean(images, "images")}
    return join_profile(parts["text"], parts["img"], kind)


def join_profile(text: np.ndarray, images: np.ndarray, kind: Profile) -> np.ndarray:
    """Profile(s) (..., P) from the means (..., Dt) and (..., Di)."""
    if kind == "text":
        return text
    if kind == "img":
        return images
    return np.concatenate([text, images], axis=-1)


def profile_dim(kind: Profile, text_dim: int, image_dim: int) -> int:
    """P, the width of a profile."""
    return {"text": text_dim, "img": image_dim, "img+text": text_dim + image_dim}[kind]


def _mean(vectors: np.ndarray, name: str) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2:
        raise ConfigError(f"user_profile: {name} has shape {vectors.shape}; give (count, dim), (0, dim) where none")
    return vectors.mean(0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
