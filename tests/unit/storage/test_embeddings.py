"""Embeddings by id: rows land where their ids say, in the order asked, whatever shards they came from."""

import numpy as np
import pyarrow as pa
import pytest

from showcases.errors import ArtifactError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable, review_features
from tests.artifacts import embedding_table, finish


def unit_rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def arrow(ids: list[str], vectors: np.ndarray, model_id: str = "small@abc") -> pa.Table:
    return embedding_table(ids, vectors, model_id)


def test_shards_of_a_workspace_become_one_matrix(tmp_path) -> None:
    vectors = unit_rows(7, 5)
    ids = [f"photo-{number}" for number in range(7)]
    workspace = Workspace(str(tmp_path))
    workspace.write_table(arrow(ids[:3], vectors[:3]), "image_embeddings", "part-00000.parquet")
    workspace.write_table(arrow(ids[3:], vectors[3:]), "image_embeddings", "part-00001.parquet")
    finish(workspace, "image_embeddings")
    table = EmbeddingTable.read(workspace, "image_embeddings")
    assert list(table.ids) == ids
    assert table.vectors.dtype == np.float16
    np.testing.assert_array_equal(table.vectors, vectors)
    assert (table.model_id, table.dim, len(table)) == ("small@abc", 5, 7)


def test_sliced_and_chunked_columns_keep_their_rows() -> None:
    vectors = unit_rows(10, 4)
    ids = [str(number) for number in range(10)]
    whole = arrow(ids, vectors)
    parts = pa.concat_tables([whole.slice(6, 3), whole.slice(1, 2)])
    np.testing.assert_array_equal(EmbeddingTable.from_arrow(parts).vectors, vectors[[6, 7, 8, 1, 2]])
    np.testing.assert_array_equal(EmbeddingTable.from_arrow(whole.slice(4)).vectors, vectors[4:])


def test_empty_table() -> None:
    table = EmbeddingTable.from_arrow(arrow([], unit_rows(0, 4)))
    assert (len(table), table.dim) == (0, 4)
    assert table.rows(["a"]).tolist() == []


def test_gather_follows_the_order_asked() -> None:
    vectors = unit_rows(4, 3)
    table = EmbeddingTable(["a", "b", "c", "d"], vectors, "")
    found = table.gather(["d", "a", "d"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors[[3, 0, 3]].astype(np.float32))


def test_unknown_ids_are_left_out_of_rows_and_refused_by_gather() -> None:
    table = EmbeddingTable(["a", "b"], unit_rows(2, 3), "")
    assert table.rows(["x", "b", "a", "y"]).tolist() == [1, 0]
    assert "a" in table and "x" not in table
    with pytest.raises(ArtifactError, match="'x'"):
        table.gather(["a", "x"])


def test_review_feature_is_the_mean_of_its_sentences_scaled_to_length_one() -> None:
    ids = ["u_b:0", "u_b:1", "u_b:10", "u_c:0", "other_b:0"]
    table = EmbeddingTable(ids, unit_rows(5, 6), "")
    features = review_features(table, ["u_b", "u_c", "without_sentences"])
    assert set(features) == {"u_b", "u_c"}
    for name, rows in {"u_b": [0, 1, 2], "u_c": [3]}.items():
        mean = np.mean([table.vectors[row].astype(np.float64) for row in rows], axis=0)
        np.testing.assert_allclose(features[name], mean / np.sqrt((mean**2).sum()), atol=1e-5)


def test_review_ids_may_hold_colons() -> None:
    table = EmbeddingTable(["u:1_b:2:0"], unit_rows(1, 4), "")
    assert set(review_features(table, ["u:1_b:2"])) == {"u:1_b:2"}


def test_sentences_that_cancel_give_no_feature() -> None:
    vector = unit_rows(1, 4)
    table = EmbeddingTable(["r:0", "r:1"], np.concatenate([vector, -vector]), "")
    assert review_features(table, ["r"]) == {}


def test_shards_stream_what_the_table_holds_and_only_what_is_asked(tmp_path) -> None:
    workspace = Workspace(str(tmp_path))
    vectors, ids = unit_rows(7, 5), [f"photo-{number}" for number in range(7)]
    for number, part in enumerate((slice(0, 3), slice(3, 3), slice(3, 7))):
        workspace.write_table(arrow(ids[part], vectors[part]), "image_embeddings", f"part-{number}.parquet")
    with pytest.raises(ArtifactError, match=r"jobs\.embed"):
        EmbeddingShards(workspace, "image_embeddings")
    finish(workspace, "image_embeddings")
    shards = EmbeddingShards(workspace, "image_embeddings")
    assert (len(shards), shards.dim, shards.model_id) == (7, 5, "small@abc")
    assert shards.all_ids().to_pylist() == ids
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in shards.batches()]), vectors)
    np.testing.assert_array_equal(
        np.concatenate([rows for _, rows in EmbeddingTable(ids, vectors, "").batches(size=3)]), vectors
    )
    few = EmbeddingTable.read(workspace, "image_embeddings", only=["photo-5", "photo-1", "unknown", "photo-5"])
    assert list(few.ids) == ["photo-1", "photo-5"] and few.model_id == "small@abc"
    np.testing.assert_array_equal(few.gather(["photo-5", "photo-1"]), vectors[[5, 1]].astype(np.float32))
    none = EmbeddingTable.read(workspace, "image_embeddings", only=[])
    assert none.vectors.shape == (0, 5) and "photo-1" not in none
