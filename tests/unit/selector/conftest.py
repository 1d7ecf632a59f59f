"""A small workspace of users with tastes, written as the steps before train_selector would write it."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import PHOTOS
from tests.artifacts import embedding_table, put

USERS, BUSINESSES, TOPICS, DIM, REVIEWS_PER_USER = 150, 24, 6, 16, 4


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def write_tastes(workspace: Workspace, seed: int = 0) -> None:
    """Each user likes one of the topics, writes of it and takes photos of it at every business, one photo in 4 aside.

    The first user of each tenth is in the validation split, the second in the test split.
    """
    rng = np.random.default_rng(seed)
    topics = _unit(rng.normal(size=(TOPICS, DIM)))
    photos: list[dict[str, Any]] = []
    sentences: list[str] = []
    examples: list[dict[str, Any]] = []
    topic_of: dict[str, list[int]] = {"photo": [], "sentence": []}
    for number in range(USERS):
        user, liked = f"u{number}", int(rng.integers(TOPICS))
        visited = [f"b{place}" for place in rng.choice(BUSINESSES, REVIEWS_PER_USER, replace=False)]
        reviews = [f"{user}_{business}" for business in visited]
        for review, business in zip(reviews, visited, strict=True):
            shown = [liked if rng.random() < 0.75 else int(rng.integers(TOPICS)) for _ in range(rng.integers(1, 4))]
            ids = [f"{review}-p{place}" for place in range(len(shown))]
            names = {"review_id": review, "user_id": user, "business_id": business}
            photos += [{"photo_id": name, **names, "url": ""} for name in ids]
            sentences += [f"{review}:0", f"{review}:1"]
            topic_of["photo"] += shown
            topic_of["sentence"] += [liked, int(rng.integers(TOPICS))]
            history = [name for name in reviews if name != review]
            split = {0: "val", 1: "test"}.get(number % 10, "train")
            examples.append({**names, "photo_ids": ids, "history_review_ids": history, "split": split})
    vectors = {
        kind: _unit(topics[of] + 0.15 * rng.normal(size=(len(of), DIM)) * (1 if kind == "photo" else 2))
        for kind, of in topic_of.items()
    }
    put(workspace, "photos", pa.Table.from_pylist(photos, schema=PHOTOS))
    put(workspace, "gest_s1", pa.Table.from_pylist(examples))
    put(workspace, "image_embeddings", embedding_table([row["photo_id"] for row in photos], vectors["photo"], "tastes"))
    put(workspace, "sentence_embeddings", embedding_table(sentences, vectors["sentence"], "tastes"))


@pytest.fixture(scope="session")
def taste_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """150 users, 24 businesses, 6 topics; photos and sentences embedded in 16 dimensions."""
    workspace = Workspace(str(tmp_path_factory.mktemp("tastes")))
    write_tastes(workspace)
    return workspace
