"""What is learned from, what is left out, and how a batch is laid out."""

from dataclasses import replace

import numpy as np
import pytest

from showcases.errors import ModelError
from showcases.generator.data import IGNORED, GeneratorData, pad_features, read_rows
from showcases.storage.artifacts import Workspace

from .conftest import DIM, unit, write_embeddings, write_rows


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    rng = np.random.default_rng(0)
    workspace = Workspace(str(tmp_path))
    vectors = dict(zip(["p1", "p2", "p3", "r1:0", "r1:1", "r2:0"], unit(rng.normal(size=(6, DIM))), strict=True))
    write_embeddings(workspace, "image_embeddings", {k: v for k, v in vectors.items() if k.startswith("p")})
    write_embeddings(workspace, "sentence_embeddings", {k: v for k, v in vectors.items() if k.startswith("r")})
    write_rows(
        workspace,
        [
            {
                "review_id": "a",
                "explanation": "Good soup.",
                "photo_ids": ["p1", "expired", "p3"],
                "history_review_ids": ["r1", "gone", "r2"],
            },
            {"review_id": "b", "explanation": "Nice tea here, and cake.", "photo_ids": ["p2"]},
            {"review_id": "c", "explanation": "  ", "photo_ids": ["p2"]},
            {"review_id": "d", "explanation": None, "photo_ids": ["p2"]},
            {"review_id": "e", "explanation": "No photo.", "photo_ids": []},
            {"review_id": "f", "explanation": "Its photo expired.", "photo_ids": ["expired"]},
            {"review_id": "g", "explanation": "Of another split.", "photo_ids": ["p1"], "split": "test"},
        ],
    )
    return workspace


def test_rows_without_text_or_photo_are_left_out_and_counted(workspace, small):
    rows = read_rows(workspace, ("train", "test"), small)
    assert rows["train"].texts == ["Good soup.", "Nice tea here, and cake."]
    assert rows["train"].left_out == {"no explanation": 2, "no embedded photo": 2}
    assert rows["test"].texts == ["Of another split."]


def test_features_are_the_photos_posted_and_the_past_reviews(workspace, small):
    rows = read_rows(workspace, ("train",), small)["train"]
    assert rows.photos[0].tolist() == [0, 2]  # p1 and p3
    sentences = {name: vector for name, vector in zip(["r1:0", "r1:1", "r2:0"], _vectors(workspace), strict=True)}
    first = sentences["r1:0"] + sentences["r1:1"]
    expected = [first / np.linalg.norm(first), sentences["r2:0"]]
    np.testing.assert_allclose(rows.review_vectors[rows.history[0]], expected, atol=1e-3)
    np.testing.assert_allclose(rows.users[0], np.mean(expected, axis=0), atol=1e-3)
    assert rows.history[1].size == 0 and not rows.users[1].any()
    assert rows.embedding_space == "test-space"


def _vectors(workspace: Workspace) -> np.ndarray:
    column = workspace.read_table("sentence_embeddings")["vector"].combine_chunks()
    return np.array(column.to_pylist(), np.float32)


def test_only_so_many_photos_and_reviews_are_read(workspace, small):
    rows = read_rows(workspace, ("train",), replace(small, max_images=1, max_reviews=1))["train"]
    assert rows.photos[0].tolist() == [0] and len(rows.history[0]) == 1


def test_embeddings_of_two_models_do_not_mix(workspace, small):
    write_embeddings(workspace, "sentence_embeddings", {"r1:0": np.ones(DIM) / 4}, space="another")
    with pytest.raises(ModelError, match=r"run jobs\.embed again"):
        read_rows(workspace, ("train",), small)


def test_a_batch_is_padded_and_masked(workspace, small, tokenizer):
    rows = read_rows(workspace, ("train",), small)["train"]
    data = GeneratorData(rows, tokenizer, 40, ["Good cake.", None])
    batch = data.batch([1, 0])
    ids = [tokenizer.encode(text) for text in ("Nice tea here, and cake.", "Good soup.")]
    other = tokenizer.encode("Good cake.")
    end = tokenizer.eos_token_id
    assert batch.tokens[0, : len(ids[0]) + 1].tolist() == [end, *ids[0]]
    assert batch.targets[0, : len(ids[0]) + 1].tolist() == [*ids[0], end]
    assert batch.targets[1, : len(ids[1]) + 1].tolist() == [*ids[1], end]
    assert (batch.targets[1, len(ids[1]) + 1 :] == IGNORED).all()
    assert batch.text_mask.sum(dim=1).tolist() == [len(ids[0]), len(ids[1])]
    assert not batch.text_mask[:, 0].any()
    assert batch.has_hard.tolist() == [False, True]
    assert batch.hard_tokens[1, 1 : 1 + len(other)].tolist() == other
    assert batch.image_mask.tolist() == [[True, False], [True, True]]
    assert batch.review_mask.tolist() == [[False, False], [True, True]]
    np.testing.assert_array_equal(batch.images[1].numpy(), rows.image_vectors[[0, 2]].astype(np.float32))


def test_a_cut_text_has_no_end_and_counts_only_the_words_that_are_left(workspace, small, tokenizer):
    rows = read_rows(workspace, ("train",), small)["train"]
    kept = tokenizer.encode("Nice tea")
    data = GeneratorData(rows, tokenizer, len(kept), None)
    batch = data.batch([1])
    assert batch.targets.tolist() == [[*kept, IGNORED]]
    assert data.words[1] == 2
    assert GeneratorData(rows, tokenizer, 99).words == [2, 5]


def test_an_entity_behind_the_cut_makes_no_hard_negative(workspace, small, tokenizer):
    rows = read_rows(workspace, ("train",), small)["train"]
    length = len(tokenizer.encode("Nice tea"))
    data = GeneratorData(rows, tokenizer, length, [None, "Nice tea here, and soup."])
    assert data.hard == [None, None]


def test_padding_of_nothing():
    padded, mask = pad_features([np.zeros((0, 3)), np.ones((2, 3))])
    assert padded.shape == (2, 2, 3) and mask.tolist() == [[False, False], [True, True]]
    padded, mask = pad_features([np.zeros((0, 3))])
    assert padded.shape == (1, 0, 3) and mask.shape == (1, 0)
