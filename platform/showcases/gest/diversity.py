"""Figure 3's visual diversities in closed form, from vectors that stream by once: linear in the photos.

Over the pairs of n unit vectors the cosines sum to (|sum v|^2 - sum |v|^2) / 2, so no pair is ever formed.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from showcases.embeddings import EmbeddingShards, EmbeddingTable

ROWS = 4096  # vectors widened to float64 at a time: 16 MiB at d = 512


class PairSums:
    """Sum of cosines over all pairs within each group, whatever order the vectors come in.

    A group's vector sum (float64) is held from its first vector to its last, so memory goes with the groups that are
    open at once: few where the vectors of a group lie near each other, all of them at worst.

    Args:
        sizes: (g,) how many vectors each group will get.
        dim: d.
    """

    def __init__(self, sizes: np.ndarray, dim: int) -> None:
        self.pairs = float((sizes.astype(np.float64) * (sizes - 1)).sum() / 2)
        self.cosines = 0.0
        self._lone = sizes == 1
        self._left = sizes.astype(np.int64)
        self._slot = np.full(len(sizes), -1, np.int64)  # of an open group in `_open`
        self._open = np.empty((0, dim))
        self._free: list[int] = []

    @property
    def mean_distance(self) -> float:
        """Mean of 1 - cos over all pairs; NaN where there is none."""
        return 1 - self.cosines / self.pairs if self.pairs else float("nan")

    def add(self, groups: np.ndarray, vectors: np.ndarray) -> None:
        """Take in vectors (k, d) float64, of length 1, of the groups (k,)."""
        paired = ~self._lone[groups]
        groups, vectors = groups[paired], vectors[paired]
        self.cosines -= float(np.einsum("kd,kd->", vectors, vectors)) / 2
        names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
        sums = torch.zeros(len(names), vectors.shape[1], dtype=torch.float64)
        sums.index_add_(0, torch.from_numpy(inverse), torch.from_numpy(vectors))
        self._left[names] -= counts
        self._settle(names, sums.numpy())

    def _settle(self, names: np.ndarray, sums: np.ndarray) -> None:
        """Join the sums (m, d) to those held of the same groups; count what is complete, hold the rest."""
        slots = self._slot[names]
        held = slots >= 0
        sums[held] += self._open[slots[held]]
        done = self._left[names] == 0
        self.cosines += float(np.einsum("md,md->", sums[done], sums[done])) / 2
        self._free.extend(slots[held & done].tolist())
        slots[~held & ~done] = self._take(int((~held & ~done).sum()))
        self._open[slots[~done]] = sums[~done]
        self._slot[names] = np.where(done, -1, slots)

    def _take(self, count: int) -> list[int]:
        """Free rows of `_open`, which grows where there are too few."""
        have = len(self._open)
        if count > len(self._free):
            grown = max(2 * have, have + count)
            self._open = np.concatenate([self._open, np.empty((grown - have, self._open.shape[1]))])
            self._free.extend(range(have, grown))
        taken = self._free[len(self._free) - count :]
        del self._free[len(self._free) - count :]
        return taken


def diversities(
    photos: pa.Table, images: EmbeddingTable | EmbeddingShards, sets: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """The three diversities of Figure 3, dis(m, n) = 1 - cos (Appendix B), pooled over all counted pairs.

    intra_business: all photo pairs of a business; inter_user: pairs of different users in one business; intra_user:
    pairs of one user in one business. NaN where there is no pair. The vectors are read once for all sets.

    Args:
        photos: columns photo_id, user_id, business_id; n rows.
        images: the photos' vectors; photos without one are not counted.
        sets: (n,) bool by name: the photos of each set.
    """
    place = _places(photos["photo_id"], images)
    business = _codes(photos["business_id"])
    user = np.unique(business * (photos.num_rows + 1) + _codes(photos["user_id"]), return_inverse=True)[1]
    counted = {name: members & (place >= 0) for name, members in sets.items()}
    sums = [
        (PairSums(np.bincount(groups[members]), images.dim), groups, members)
        for members in counted.values()
        for groups in (business, user)
    ]
    for rows, vectors in _arrivals(place, images):
        for total, groups, members in sums:
            mine = members[rows]
            total.add(groups[rows[mine]], vectors[mine])
    totals = iter(total for total, _, _ in sums)
    return {name: _figures(next(totals), next(totals)) for name in sets}


def _figures(business: PairSums, user: PairSums) -> dict[str, float]:
    pairs, cosines = business.pairs - user.pairs, business.cosines - user.cosines
    return {
        "intra_business": business.mean_distance,
        "inter_user": 1 - cosines / pairs if pairs else float("nan"),
        "intra_user": user.mean_distance,
    }


def _arrivals(place: np.ndarray, images: EmbeddingTable | EmbeddingShards) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows (k,) of `photos` and their vectors (k, d) float64 of length 1, in the order in which the vectors come."""
    order = np.argsort(place, kind="stable")
    ordered, start = place[order], 0
    for names, vectors in images.batches():
        for low in range(start, start + len(names), ROWS):
            first, last = np.searchsorted(ordered, (low, min(low + ROWS, start + len(names))))
            rows = order[first:last]
            wide = vectors[place[rows] - start].astype(np.float64)
            yield rows, wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
        start += len(names)


def _places(photo_ids: pa.ChunkedArray, images: EmbeddingTable | EmbeddingShards) -> np.ndarray:
    """(n,) where each photo comes in the stream of vectors, -1 where it does not."""
    found = pc.index_in(photo_ids, value_set=images.all_ids())
    return found.cast(pa.int64()).fill_null(-1).to_numpy()


def _codes(names: pa.ChunkedArray) -> np.ndarray:
    """(n,) the same number for the same name."""
    coded = names.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64)
