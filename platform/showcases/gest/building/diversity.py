"""Figure 3's visual diversities in closed form, in one pass over the vectors: linear in the number of photos.

Over the pairs of n unit vectors the cosines sum to (|sum v|^2 - sum |v|^2) / 2, so pairs are never enumerated.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from showcases.gest.building.ragged import places
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable

ROWS = 4096  # vectors cast to float32 at a time: 8 MiB at d = 512


class PairSums:
    """Sum of cosines over all pairs within each group, for vectors in any order.

    A group's vector sum is in memory from its first vector to its last: few groups at once if the vectors of a group
    are close together, all groups at worst.

    Args:
        sizes: (g,) number of vectors of each group.
        dim: d.
        dtype: of the sums; float32 suffices for groups of about ten.
    """

    def __init__(self, sizes: np.ndarray, dim: int, dtype: type[np.floating]) -> None:
        self.pairs = float((sizes.astype(np.float64) * (sizes - 1)).sum() / 2)
        self.cosines = 0.0
        self._sizes, self._left = sizes, sizes.astype(np.int64)
        self._slot = np.full(len(sizes), -1, np.int64)  # row of an open group in `_open`
        self._open = np.empty((0, dim), dtype)
        self._free: list[int] = []

    @property
    def mean_distance(self) -> float:
        """Mean of 1 - cos over all pairs; NaN if there is none."""
        return 1 - self.cosines / self.pairs if self.pairs else float("nan")

    def add(self, groups: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> None:
        """Add to distinct groups (m,) the sums (m, d) of `counts` (m,) unit vectors each."""
        slots = self._slot[groups]
        held = slots >= 0
        sums[held] += self._open[slots[held]]
        self._left[groups] -= counts
        done = self._left[groups] == 0
        squares = np.einsum("md,md->m", sums, sums).astype(np.float64)
        many = done & (self._sizes[groups] > 1)
        self.cosines += float((squares[many] - self._sizes[groups[many]]).sum() / 2)
        self._free.extend(slots[held & done].tolist())
        slots[~held & ~done] = self._take(int((~held & ~done).sum()))
        self._open[slots[~done]] = sums[~done]
        self._slot[groups] = np.where(done, -1, slots)

    def _take(self, count: int) -> list[int]:
        """Free rows of `_open`, which grows if there are too few."""
        have = len(self._open)
        if count > len(self._free):
            grown = max(2 * have, have + count)
            self._open = np.concatenate([self._open, np.empty((grown - have, self._open.shape[1]), self._open.dtype)])
            self._free.extend(range(have, grown))
        taken = self._free[len(self._free) - count :]
        del self._free[len(self._free) - count :]
        return taken


class Spread:
    """Pair sums of one set of photos, per user in a business and per business.

    Args:
        members: (n,) bool, the photos of the set.
        user: (n,) number of each photo's user in its business.
        business_of: (g,) number of each such user's business.
        dim: d.
    """

    def __init__(self, members: np.ndarray, user: np.ndarray, business_of: np.ndarray, dim: int) -> None:
        self.members, self.user, self.business_of = members, user, business_of
        counts = np.bincount(user[members], minlength=len(business_of))
        per_business = np.bincount(business_of, weights=counts).astype(np.int64)
        self.of_user = PairSums(counts, dim, np.float32)
        self.of_business = PairSums(per_business, dim, np.float64)

    def add(self, rows: np.ndarray, vectors: Tensor) -> None:
        """Add the unit vectors (k, d) float32 of the photos `rows` (k,)."""
        mine = self.members[rows]
        if not mine.all():
            rows, vectors = rows[mine], vectors[torch.from_numpy(mine)]
        users, counts, sums = _sum_by(self.user[rows], np.ones(len(rows)), vectors)
        places, totals, sums_there = _sum_by(self.business_of[users], counts, sums.to(torch.float64))
        self.of_business.add(places, sums_there.numpy(), totals)
        self.of_user.add(users, sums.numpy(), counts)

    def figures(self) -> dict[str, float]:
        """The three diversities."""
        pairs = self.of_business.pairs - self.of_user.pairs
        cosines = self.of_business.cosines - self.of_user.cosines
        return {
            "intra_business": self.of_business.mean_distance,
            "inter_user": 1 - cosines / pairs if pairs else float("nan"),
            "intra_user": self.of_user.mean_distance,
        }


def _sum_by(groups: np.ndarray, counts: np.ndarray, vectors: Tensor) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """The distinct groups (m,), with the sums of their counts (m,) and vectors (m, d)."""
    names, inverse = np.unique(groups, return_inverse=True)
    sums = torch.zeros(len(names), vectors.shape[1], dtype=vectors.dtype)
    sums.index_add_(0, torch.from_numpy(inverse), vectors)
    return names, np.bincount(inverse, weights=counts, minlength=len(names)).astype(np.int64), sums


def diversities(
    photos: pa.Table, images: EmbeddingTable | EmbeddingShards, sets: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """The three diversities of Figure 3, dis(m, n) = 1 - cos (Appendix B), pooled over all counted pairs.

    intra_business: all photo pairs of a business; inter_user: pairs of different users in one business; intra_user:
    pairs of one user in one business. NaN if there is no pair. The vectors are read once for all sets.

    Args:
        photos: columns photo_id, user_id, business_id; n rows.
        images: the photos' vectors; photos without one are ignored.
        sets: (n,) bool by name: the photos of each set.
    """
    place = places(photos["photo_id"], images.all_ids())
    both = _codes(photos["business_id"]) * (photos.num_rows + 1) + _codes(photos["user_id"])
    users, user = np.unique(both, return_inverse=True)
    business_of = users // (photos.num_rows + 1)
    spreads = {name: Spread(mine & (place >= 0), user, business_of, images.dim) for name, mine in sets.items()}
    for rows, vectors in _arrivals(place, images):
        for spread in spreads.values():
            spread.add(rows, vectors)
    return {name: spread.figures() for name, spread in spreads.items()}


def _arrivals(place: np.ndarray, images: EmbeddingTable | EmbeddingShards) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Rows (k,) of `photos` and their unit vectors (k, d) float32, in the order of the vectors."""
    order = np.argsort(place, kind="stable")
    ordered, start = place[order], 0
    for names, vectors in images.batches():
        for low in range(start, start + len(names), ROWS):
            first, last = np.searchsorted(ordered, (low, min(low + ROWS, start + len(names))))
            rows = order[first:last]
            wide = torch.from_numpy(vectors[place[rows] - start]).to(torch.float32)
            yield rows, wide / wide.norm(dim=1, keepdim=True).clamp_min(1e-12)
        start += len(names)


def _codes(names: pa.ChunkedArray) -> np.ndarray:
    """(n,) integer codes; equal names get equal codes."""
    coded = names.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64)
