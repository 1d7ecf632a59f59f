"""Batches against the tables they were cut from, put together example by example."""

from typing import Any

import numpy as np
import pytest

from showcases.errors import ModelError
from showcases.selector import user_profile
from showcases.selector.data import PhotoPool, SelectorData, build_split, read_splits
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable, review_features
from tests.artifacts import put


@pytest.fixture(scope="module")
def train(taste_workspace: Workspace) -> SelectorData:
    return read_splits(taste_workspace, ("train",))["train"]


def _rows(workspace: Workspace, artifact: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = workspace.read_table(artifact).to_pylist()
    return rows


@pytest.mark.parametrize("protocol", ["paper", "deployment"])
def test_candidates_and_targets_are_those_of_the_tables(
    taste_workspace: Workspace, train: SelectorData, protocol: Any
) -> None:
    photos, examples = _rows(taste_workspace, "photos"), _rows(taste_workspace, "gest_s1")
    example_of = {row["review_id"]: row for row in examples if row["split"] == "train"}
    images = EmbeddingTable.read(taste_workspace, "image_embeddings")
    assert sorted(train.review_ids) == sorted(example_of)
    numbers = np.random.default_rng(0).choice(len(train), 20, replace=False)
    batch = train.batch(numbers, "img", protocol)
    vectors = batch.images()
    for place, number in enumerate(numbers.tolist()):
        row = example_of[train.review_ids[number]]
        own = {p["photo_id"] for p in photos if p["user_id"] == row["user_id"] and p["review_id"] == row["review_id"]}
        expected = {p["photo_id"] for p in photos if p["business_id"] == row["business_id"]}
        expected -= own if protocol == "deployment" else set()
        places = batch.mask[place].nonzero().flatten().tolist()
        ids = train.photo_ids(number, places)
        assert set(ids) == expected and len(ids) == len(expected)
        assert np.array_equal(vectors[place, places].numpy(), images.gather(ids))
        hit = set(train.photo_ids(number, batch.chosen[place].nonzero().flatten().tolist()))
        assert hit == (set(row["photo_ids"]) if protocol == "paper" else set())
        poster = {p["photo_id"]: p["user_id"] for p in photos}
        owners = batch.owners[place, places].tolist()
        assert len(set(zip(owners, [poster[name] for name in ids], strict=True))) == len(set(owners))


@pytest.mark.parametrize("kind", ["img", "text", "img+text"])
def test_profiles_are_those_of_the_users_other_reviews(
    taste_workspace: Workspace, train: SelectorData, kind: Any
) -> None:
    photos = _rows(taste_workspace, "photos")
    history = {row["review_id"]: row["history_review_ids"] for row in _rows(taste_workspace, "gest_s1")}
    images = EmbeddingTable.read(taste_workspace, "image_embeddings")
    sentences = EmbeddingTable.read(taste_workspace, "sentence_embeddings")
    numbers = np.array([5, 0, 17])
    profiles = train.batch(numbers, kind).profiles.numpy()
    for row, number in zip(profiles, numbers.tolist(), strict=True):
        past = history[train.review_ids[number]]
        text = np.stack([review_features(sentences, past)[name] for name in past])
        shown = images.gather([p["photo_id"] for p in photos if p["review_id"] in past])
        assert row == pytest.approx(user_profile(text, shown, kind), abs=1e-6)


def _tiny_pool(photos: list[tuple[str, str, str, str]]) -> PhotoPool:
    import pyarrow as pa

    names = ("photo_id", "review_id", "user_id", "business_id")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in photos])
    return PhotoPool(table, EmbeddingTable(["a", "b", "c"], np.eye(3, dtype=np.float16), "m"))


def test_photos_without_an_embedding_are_left_out_and_counted() -> None:
    pool = _tiny_pool(
        [("a", "u_x", "u", "x"), ("gone", "u_x", "u", "x"), ("gone2", "v_x", "v", "x"), ("b", "w_x", "w", "x")]
    )
    rows = [
        {"review_id": "u_x", "user_id": "u", "business_id": "x", "photo_ids": ["gone", "a"], "history_review_ids": []},
        {"review_id": "v_x", "user_id": "v", "business_id": "x", "photo_ids": ["gone2"], "history_review_ids": []},
        {"review_id": "v_y", "user_id": "v", "business_id": "y", "photo_ids": ["gone3"], "history_review_ids": []},
    ]
    data = build_split(rows, pool, {}, text_dim=2)
    assert (list(data.review_ids), data.left_out) == (["u_x"], 2)
    batch = data.batch(np.array([0]), "img+text")
    assert data.photo_ids(0, [0, 1, -1]) == ["a", "b"]
    assert batch.chosen.tolist() == [[True, False]]
    assert batch.profiles.tolist() == [[0.0] * 5]  # nothing is known of this user


def test_a_photo_listed_twice_is_one_candidate() -> None:
    pool = _tiny_pool([("a", "u_x", "u", "x"), ("a", "v_x", "v", "x"), ("b", "v_x", "v", "x")])
    assert pool.ids == {"x": ["a", "b"]}


def test_embeddings_of_two_spaces_are_refused(taste_workspace: Workspace, tmp_path: Any) -> None:
    other = Workspace(str(tmp_path))
    for name in ("photos", "gest_s1", "image_embeddings", "sentence_embeddings"):
        table = taste_workspace.read_table(name)
        if name == "sentence_embeddings":
            table = table.replace_schema_metadata({"model_id": "another"})
        put(other, name, table)
    with pytest.raises(ModelError, match="another"):
        read_splits(other, ("train",))
