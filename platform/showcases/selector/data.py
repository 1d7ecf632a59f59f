"""Training and test data of the selector: users' profiles, restaurants' photos, and which of them a user posted.

Built once from a workspace; batches are then assembled by index arithmetic only.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from showcases.selector.config import Profile
from showcases.selector.profiles import join_profile, user_profile
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable, require_one_space, review_features

Protocol = Literal["paper", "deployment"]


@dataclass(frozen=True)
class SelectorBatch:
    """B examples, padded to N candidates.

    Attributes:
        profiles: (B, P) float32.
        photos: (U, D) float32, the distinct photos of the batch.
        candidates: (B, N) long, rows of `photos`; 0 at padding.
        mask: (B, N) bool, True for real candidates.
        chosen: (B, N) bool, the photos that the user posted for the business.
        owners: (B, N) long, code of each candidate's poster; only equality is meaningful.
    """

    profiles: Tensor
    photos: Tensor
    candidates: Tensor
    mask: Tensor
    chosen: Tensor
    owners: Tensor

    def to(self, device: torch.device | str) -> "SelectorBatch":
        """Copy to a device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in vars(self).items()})

    def images(self) -> Tensor:
        """(B, N, D) vectors of the candidates, zeros at padding."""
        return self.photos[self.candidates].masked_fill(~self.mask[:, :, None], 0.0)


class PhotoPool:
    """The embedded photos of each business, in consecutive rows.

    Args:
        photos: columns photo_id, review_id, user_id, business_id.
        images: their embeddings.
    """

    def __init__(self, photos: pa.Table, images: EmbeddingTable) -> None:
        self.images = images
        by_business: dict[str, dict[str, str]] = defaultdict(dict)
        self.of_review: dict[str, list[str]] = defaultdict(list)
        names = ("photo_id", "review_id", "user_id", "business_id")
        for photo, review, user, business in zip(*(photos[name].to_pylist() for name in names), strict=True):
            if photo in images:
                by_business[business].setdefault(photo, user)
                self.of_review[review].append(photo)
        self.ids = {business: list(pool) for business, pool in by_business.items()}
        self.number = {business: number for number, business in enumerate(self.ids)}
        self.sizes = np.array([len(pool) for pool in self.ids.values()], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])[:-1].astype(np.int64)
        self.rows = images.rows(photo for pool in self.ids.values() for photo in pool)
        users = [user for pool in by_business.values() for user in pool.values()]
        code = {user: number for number, user in enumerate(dict.fromkeys(users))}
        self.owners = np.array([code[user] for user in users], np.int64)
        self.user_code = code
        self._places: dict[str, dict[str, int]] = {}

    def places(self, business: str) -> dict[str, int]:
        """Index of each photo among the candidates of a business."""
        if business not in self._places:
            self._places[business] = {photo: place for place, photo in enumerate(self.ids.get(business, ()))}
        return self._places[business]


@dataclass(frozen=True)
class SelectorData:
    """One split: n examples, each a user, a business, and the photos that the user posted for it.

    Attributes:
        pool: candidates by business.
        review_ids: n ids.
        business: (n,) index in the pool.
        user: (n,) code as in `pool.owners`.
        targets: (m, 2): example, position among the business' photos; sorted by example.
        text: (n, Dt) mean feature of the user's other reviews.
        photos: (n, Di) mean feature of the photos of those reviews.
        left_out: number of examples without an embedded photo.
    """

    pool: PhotoPool
    review_ids: Sequence[str]
    business: np.ndarray
    user: np.ndarray
    targets: np.ndarray
    text: np.ndarray
    photos: np.ndarray
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.review_ids)

    @cached_property
    def candidate_ids(self) -> list[list[str]]:
        """Photo ids by business number, in the order of candidates."""
        return list(self.pool.ids.values())

    @cached_property
    def target_starts(self) -> np.ndarray:
        """(n + 1,): the targets of example i are rows starts[i] to starts[i + 1]."""
        return np.searchsorted(self.targets[:, 0], np.arange(len(self) + 1))

    def batch(self, numbers: np.ndarray, profile: Profile, protocol: Protocol = "paper") -> SelectorBatch:
        """Build a batch of examples.

        Args:
            numbers: (B,) indices below n.
            profile: features of the users' profiles.
            protocol: `paper` includes the user's own photos of the business in the candidates; `deployment` excludes
                them, so no hits are possible.
        """
        business = self.business[numbers]
        sizes = self.pool.sizes[business]
        place = np.arange(sizes.max())  # (N,)
        mask = place < sizes[:, None]  # (B, N)
        row = self.pool.starts[business][:, None] + np.where(mask, place, 0)  # (B, N), rows of the pool
        owners = np.where(mask, self.pool.owners[row], -1)
        chosen = self._chosen(numbers, len(place))
        if protocol == "deployment":
            mask = mask & (owners != self.user[numbers][:, None])
            chosen = chosen & mask
        distinct, candidates = np.unique(self.pool.rows[row], return_inverse=True)
        profiles = join_profile(self.text[numbers], self.photos[numbers], profile)
        return SelectorBatch(
            torch.from_numpy(profiles),
            torch.from_numpy(self.pool.images.vectors[distinct].astype(np.float32)),
            torch.from_numpy(np.where(mask, candidates.reshape(row.shape), 0)),
            torch.from_numpy(mask),
            torch.from_numpy(chosen),
            torch.from_numpy(owners),
        )

    def photo_ids(self, number: int, places: Sequence[int]) -> list[str]:
        """Ids of an example's candidates by their indices; -1 is skipped."""
        ids = self.candidate_ids[self.business[number]]
        return [ids[place] for place in places if place >= 0]

    def posted_photos(self, rows: np.ndarray | None = None) -> np.ndarray:
        """(m, Di) float32 vectors of the photos that the users of this split posted: of `rows` of `targets`, or all."""
        targets = self.targets if rows is None else self.targets[rows]
        found = self.pool.rows[self.pool.starts[self.business[targets[:, 0]]] + targets[:, 1]]
        vectors: np.ndarray = self.pool.images.vectors[found].astype(np.float32)
        return vectors

    def _chosen(self, numbers: np.ndarray, size: int) -> np.ndarray:
        first = self.target_starts[numbers]
        counts = self.target_starts[numbers + 1] - first
        example = np.repeat(np.arange(len(numbers)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = np.zeros((len(numbers), size), bool)
        chosen[example, self.targets[np.repeat(first, counts) + within, 1]] = True
        return chosen


@dataclass(frozen=True)
class World:
    """Data that rows of GEST-s1 reference: the photos of their businesses, and their users' past reviews.

    Attributes:
        pool: photos by business.
        texts: (Dt,) feature by review id.
        text_dim: Dt.
    """

    pool: PhotoPool
    texts: dict[str, np.ndarray]
    text_dim: int

    @classmethod
    def read(cls, workspace: Workspace, splits: Sequence[str]) -> "World":
        """Read the data of these splits; memory is proportional to them, not to the corpus.

        Raises:
            ArtifactError: an input is not finished, or photos and sentences are embedded in different spaces.
        """
        rows = workspace.read_table("gest_s1", ("business_id", "history_review_ids", "split"))
        rows = rows.filter(pc.is_in(rows["split"], pa.array(splits, pa.string())))
        past = pc.unique(pc.list_flatten(rows["history_review_ids"]))
        photos = workspace.read_table("photos", ("photo_id", "review_id", "user_id", "business_id"))
        candidates = pc.is_in(photos["business_id"], value_set=pc.unique(rows["business_id"]))
        photos = photos.filter(pc.or_(candidates, pc.is_in(photos["review_id"], value_set=past)))
        images = EmbeddingTable.read(workspace, "image_embeddings", only=photos["photo_id"].to_pylist())
        sentences = EmbeddingShards(workspace, "sentence_embeddings")
        require_one_space({"photos": images.model_id, "sentences": sentences.model_id}, "run jobs.embed again")
        texts = review_features(sentences, sorted(past.to_pylist()))
        return cls(PhotoPool(photos, images), texts, sentences.dim)

    def select(self, rows: Sequence[dict[str, Any]]) -> SelectorData:
        """Build a split from rows of schema GEST_S1."""
        return build_split(rows, self.pool, self.texts, self.text_dim)


def read_splits(workspace: Workspace, splits: Sequence[str]) -> dict[str, SelectorData]:
    """Read splits of GEST-s1 with their embeddings.

    Raises:
        ArtifactError: an input is not finished, or photos and sentences are embedded in different spaces.
    """
    world = World.read(workspace, splits)
    rows = workspace.read_table("gest_s1").to_pylist()
    return {name: world.select([row for row in rows if row["split"] == name]) for name in splits}


def build_split(
    rows: Sequence[dict[str, Any]], pool: PhotoPool, texts: dict[str, np.ndarray], text_dim: int
) -> SelectorData:
    """One split from rows of GEST-s1.

    Args:
        rows: of schema GEST_S1.
        pool: all businesses' photos.
        texts: (Dt,) feature by review id, of past reviews.
        text_dim: Dt.
    """
    examples: list[dict[str, Any]] = []
    targets: list[tuple[int, int]] = []
    for row in rows:
        places = pool.places(row["business_id"])
        found = sorted({places[name] for name in row["photo_ids"] if name in places})
        if found:
            targets += [(len(examples), place) for place in found]
            examples.append(row)
    text = np.zeros((len(examples), text_dim), np.float32)
    photos = np.zeros((len(examples), pool.images.dim), np.float32)
    for number, row in enumerate(examples):
        past = row["history_review_ids"]
        said = [texts[name] for name in past if name in texts]
        shown = pool.images.vectors[pool.images.rows(photo for name in past for photo in pool.of_review.get(name, ()))]
        text[number] = user_profile(np.array(said, np.float32).reshape(-1, text_dim), shown[:0], "text")
        photos[number] = user_profile(text[:0], shown, "img")
    return SelectorData(
        pool=pool,
        review_ids=[row["review_id"] for row in examples],
        business=np.array([pool.number[row["business_id"]] for row in examples], np.int64),
        user=np.array([pool.user_code.get(row["user_id"], -2) for row in examples], np.int64),
        targets=np.array(targets, np.int64).reshape(-1, 2),
        text=text,
        photos=photos,
        left_out=len(rows) - len(examples),
    )
