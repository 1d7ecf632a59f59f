"""Train, val and test by user: users are ranked by a seeded hash, and the ranks are split 8:1:1."""

import hashlib
from collections.abc import Iterable

import numpy as np

SPLITS = (("train", 0.8), ("val", 0.1), ("test", 0.1))
NAMES = np.array([name for name, _ in SPLITS], dtype=object)


def user_keys(users: Iterable[str], seed: int) -> np.ndarray:
    """(n,) uint64 rank keys: the first 8 bytes of SHA-256 of seed and id."""
    data = b"".join(hashlib.sha256(f"{seed}:{user}".encode()).digest()[:8] for user in users)
    return np.frombuffer(data, dtype=">u8").astype(np.uint64)


def split_cuts(keys: np.ndarray) -> np.ndarray:
    """The keys at which val and test begin, at most two.

    Args:
        keys: (users,) of all users, sorted, each once.
    """
    bounds = np.cumsum([share for _, share in SPLITS]) * len(keys)
    split = np.searchsorted(bounds, np.arange(len(keys)) + 0.5)  # split of each rank
    starts = np.searchsorted(split, np.arange(1, len(SPLITS)))
    return keys[starts[starts < len(keys)]]


def split_of(keys: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(n,) split name of each user."""
    return NAMES[np.searchsorted(cuts, keys, side="right")]


def split_users(users: set[str], seed: int) -> dict[str, str]:
    """Train, val or test for each user, 8:1:1; deterministic for given users and seed."""
    ordered = sorted(users)
    keys = user_keys(ordered, seed)
    return dict(zip(ordered, split_of(keys, split_cuts(np.sort(keys))).tolist(), strict=True))
