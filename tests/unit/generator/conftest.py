"""A small world for the generator's tests: the photo alone tells which dish the explanation names."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from showcases.compat import import_torchvision
from showcases.generator import GeneratorConfig
from showcases.generator.tokenizer import learn_tokenizer
from showcases.storage.artifacts import Workspace
from tests.artifacts import embedding_table, put

import_torchvision()  # before a test imports GPT-2

DISHES = ("ramen", "burger", "salad", "pizza")
OPINIONS = ("great", "cold", "fine")
DIM = 16
SPACE = "test-space"

GestRow = dict[str, object]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small() -> GeneratorConfig:
    """The smallest architecture that still has every part."""
    return GeneratorConfig(
        vocab_size=300, n_layer=1, n_head=2, n_embd=32, dropout=0.0, mma_layers=1, mma_heads=2, max_tokens=20
    )


@pytest.fixture(scope="session")
def tokenizer():  # type: ignore[no-untyped-def]
    return learn_tokenizer([f"The {dish} was {word}." for dish in DISHES for word in OPINIONS] * 5, 330)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write_embeddings(workspace: Workspace, artifact: str, vectors: dict[str, np.ndarray], space: str = SPACE) -> None:
    """Write an embeddings artifact."""
    put(workspace, artifact, embedding_table(list(vectors), np.stack(list(vectors.values())), space))


def write_rows(workspace: Workspace, rows: Sequence[GestRow]) -> None:
    """Write gest_s2; a row may leave out what it does not care about."""
    plain = {"user_id": "u", "business_id": "b", "history_review_ids": [], "split": "train"}
    put(workspace, "gest_s2", pa.Table.from_pylist([plain | row for row in rows]))


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., Workspace]:
    """Write a workspace whose photos show one of DISHES and whose explanations name it; past reviews tell nothing."""

    def make(train: int = 160, val: int = 16, test: int = 32, seed: int = 0, dim: int = DIM) -> Workspace:
        rng = np.random.default_rng(seed)
        workspace = Workspace(str(tmp_path / "workspace"))
        kinds = unit(rng.normal(size=(len(DISHES), dim)))
        photos, sentences, rows = {}, {}, []
        for number in range(train + val + test):
            dish = int(rng.integers(len(DISHES)))
            photos[f"p{number}"] = unit(kinds[dish : dish + 1] + 0.1 * rng.normal(size=(1, dim)))[0]
            sentences[f"u{number}_old:0"] = unit(rng.normal(size=(1, dim)))[0]
            rows.append(
                {
                    "review_id": f"u{number}_b",
                    "explanation": f"The {DISHES[dish]} was {rng.choice(OPINIONS)}.",
                    "photo_ids": [f"p{number}"],
                    "history_review_ids": [f"u{number}_old"],
                    "split": "train" if number < train else "val" if number < train + val else "test",
                }
            )
        write_embeddings(workspace, "image_embeddings", photos)
        write_embeddings(workspace, "sentence_embeddings", sentences)
        write_rows(workspace, rows)
        return workspace

    return make
