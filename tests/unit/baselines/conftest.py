"""A handful of examples for the baselines: photo, user and business each tell which text it is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from showcases.baselines.base import Baseline
from showcases.baselines.config import BaselineConfig, Name
from showcases.baselines.data import BaselineBatch, BaselineData, World
from showcases.baselines.ids import Ids, ItemReviews
from showcases.baselines.kinds import KINDS
from showcases.generator import GeneratorConfig
from showcases.generator.data import Features
from showcases.generator.tokenizer import learn_tokenizer
from showcases.storage.embeddings import EmbeddingTable

DIM = 16
TEXTS = (
    "The ramen was great.",
    "Cold pizza, and no seat for an hour.",
    "A fine burger!",
    "The salad was cold but the staff are great.",
    "Great view.",
)
SMALLEST: dict[Name, BaselineConfig] = {
    "ST": BaselineConfig("ST", width=32, max_tokens=24),
    "R2Gen": BaselineConfig("R2Gen", width=32, layers=1, heads=2, max_tokens=24),
    "Ref2Seq": BaselineConfig("Ref2Seq", width=32, max_tokens=24),
    "PETER": BaselineConfig("PETER", width=32, heads=2, max_tokens=24),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():  # type: ignore[no-untyped-def]
    return learn_tokenizer(TEXTS * 5, 330)


def make_rows() -> list[dict[str, object]]:
    """Users 0 to 4 at businesses 0, 1, 0, 1, 0; user n has n past reviews and 1 + n % 3 photos."""
    return [
        {
            "review_id": f"u{n}_b{n % 2}",
            "user_id": f"u{n}",
            "business_id": f"b{n % 2}",
            "explanation": text,
            "photo_ids": [f"p{n}{i}" for i in range(1 + n % 3)],
            "history_review_ids": [f"u{n}_old{i}" for i in range(n)],
            "split": "train",
        }
        for n, text in enumerate(TEXTS)
    ]


@pytest.fixture(scope="session")
def data(tokenizer) -> BaselineData:  # type: ignore[no-untyped-def]
    rows, rng = make_rows(), np.random.default_rng(0)
    photos = [name for row in rows for name in row["photo_ids"]]  # type: ignore[attr-defined]
    reviews = [name for row in rows for name in [row["review_id"], *row["history_review_ids"]]]  # type: ignore[misc]
    images = EmbeddingTable(photos, rng.normal(size=(len(photos), DIM)).astype(np.float16), "space")
    vectors = rng.normal(size=(len(reviews), DIM)).astype(np.float32)
    features = Features(images, {name: n for n, name in enumerate(reviews)}, vectors)
    users, items = (tuple(sorted({str(row[name]) for row in rows})) for name in ("user_id", "business_id"))
    written: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        written.setdefault(str(row["business_id"]), []).append((str(row["review_id"]), str(row["user_id"])))
    return BaselineData(rows, World(features, Ids(users, items), ItemReviews(written), GeneratorConfig()), tokenizer)


@pytest.fixture
def batch(data: BaselineData) -> BaselineBatch:
    return data.batch(range(len(data)))


@pytest.fixture
def make(tokenizer) -> Callable[..., Baseline]:  # type: ignore[no-untyped-def]
    """A new, small baseline in evaluation mode; the seed decides its weights."""

    def build(name: Name, seed: int = 0) -> Baseline:
        torch.manual_seed(seed)
        ids = Ids(tuple(f"u{n}" for n in range(5)), ("b0", "b1"))
        model = KINDS[name](SMALLEST[name], tokenizer, DIM, DIM, "space", ids)
        for parameter in model.parameters():  # so that texts differ between random models
            parameter.data += 0.1 * torch.randn_like(parameter)
        return model.eval()

    return build
