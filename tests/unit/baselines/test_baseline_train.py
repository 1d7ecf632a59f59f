"""Training a baseline from a workspace: the loop of our generator, and splits that do not leak."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from jobs.evaluating.writer_actor import GeneratingActor
from showcases.baselines import NAMES, BaselinePredictor, load_baseline
from showcases.baselines.kinds import KINDS
from showcases.baselines.train import Splits, read_world, train_baseline
from showcases.generator import GeneratorConfig, TrainGeneratorConfig
from showcases.generator.config import MONITOR
from showcases.generator.train import train_generator
from showcases.storage.artifacts import Workspace
from showcases.training import LoopConfig, Session, TrainingJob
from tests.artifacts import embedding_table, put

from .conftest import DIM, SMALLEST

MODEL = GeneratorConfig(vocab_size=300, n_layer=1, n_head=2, n_embd=32, mma_layers=1, mma_heads=2, max_tokens=20)
CONFIG = TrainGeneratorConfig(
    model=MODEL, loop=LoopConfig(epochs=2, batch_size=8, lr=5e-3, optimizer="adamw", schedule="cosine")
)
TRAIN, VAL = 16, 4


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """20 users who each wrote about one of three businesses, and have one past review."""
    made, rng, rows = Workspace(str(tmp_path / "workspace")), np.random.default_rng(0), []
    for n in range(TRAIN + VAL):
        text, review = ("The ramen was great.", "A cold burger!", "Fine.")[n % 3], f"u{n}_b{n % 3}"
        rows.append(
            {"review_id": review, "user_id": f"u{n}", "business_id": f"b{n % 3}", "explanation": text}
            | {"photo_ids": [f"p{n}"], "history_review_ids": [f"u{n}_old"], "split": "train" if n < TRAIN else "val"}
        )
    put(made, "gest_s2", pa.Table.from_pylist(rows))
    sentences = [f"{row['review_id']}:0" for row in rows] + [f"u{n}_old:0" for n in range(len(rows))]
    for artifact, names in (
        ("image_embeddings", [f"p{n}" for n in range(len(rows))]),
        ("sentence_embeddings", sentences),
    ):
        vectors = rng.normal(size=(len(names), DIM)) / DIM**0.5
        put(made, artifact, embedding_table(names, vectors, "space"))
    return made


class Kept:
    """A report that keeps each checkpoint, as Ray Train does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.metrics, self.checkpoints = folder, [], []

    def __call__(self, metrics: dict[str, float], checkpoint: Path | None) -> None:
        self.metrics.append(metrics)
        assert checkpoint is not None
        self.checkpoints.append(self.folder / str(len(self.checkpoints)))
        shutil.copytree(checkpoint, self.checkpoints[-1])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained_as_ours_is_and_a_resumed_run_ends_the_same(name, workspace, tmp_path):
    size = replace(SMALLEST[name], dropout=0.1)
    whole, again = Kept(tmp_path / "whole"), Kept(tmp_path / "again")
    metrics = train_baseline(TrainingJob(workspace, CONFIG, name), Session(whole), size)
    model = load_baseline(whole.checkpoints[-1] / "model")
    assert whole.metrics[-1][MONITOR] < whole.metrics[0][MONITOR] and metrics["parameters"] == model.parameter_count
    assert (metrics["train_rows"], metrics["val_rows"]) == (TRAIN, VAL) and model.embedding_space == "space"
    train_baseline(TrainingJob(workspace, CONFIG, name), Session(again, whole.checkpoints[0]), size)
    assert again.metrics == whole.metrics[1:]
    resumed = load_baseline(again.checkpoints[-1] / "model").state_dict()
    assert all(torch.equal(value, resumed[key]) for key, value in model.state_dict().items())


def test_the_actor_that_writes_for_ours_writes_for_a_baseline(workspace, tmp_path):
    report = Kept(tmp_path)
    train_baseline(TrainingJob(workspace, CONFIG, "ST"), Session(report), SMALLEST["ST"])
    workspace.upload(report.checkpoints[-1] / "model", "_reproduce", "baseline-ST-seed0")
    photos = np.random.default_rng(0).normal(size=(2, 3, DIM)).astype(np.float32)
    batch = {"images": photos, "n_images": np.array([3, 1]), "number": np.arange(2)}
    folder = np.array(["_reproduce/baseline-ST-seed0"] * 2, object)
    written = GeneratingActor(workspace.root, "cpu")({**batch, "folder": folder})
    assert written["text"].tolist() == BaselinePredictor(report.checkpoints[-1] / "model")(batch)["text"].tolist()


def test_the_first_epoch_has_the_examples_the_words_and_the_tokenizer_of_ours(workspace, tmp_path, monkeypatch):
    from showcases.baselines import train as own
    from showcases.generator import train as ours

    seen: dict[str, list[object]] = {"ours": [], "own": []}
    for key, module, kind in (("ours", ours, "GeneratorData"), ("own", own, "BaselineData")):
        plain = getattr(module, kind)

        class Watched(plain):  # type: ignore[misc,valid-type]
            def batch(self, numbers, key=key, plain=plain):  # type: ignore[no-untyped-def]
                found = plain.batch(self, numbers)
                seen[key].append((found.tokens.tolist(), found.targets.tolist()))
                return found

        monkeypatch.setattr(module, kind, Watched)
    config = replace(CONFIG, loop=replace(CONFIG.loop, epochs=1))
    theirs = train_generator(TrainingJob(workspace, config, "text"), Session(lambda *_: None))
    metrics = train_baseline(TrainingJob(workspace, config, "ST"), Session(lambda *_: None), SMALLEST["ST"])
    assert seen["own"] == seen["ours"] and len(seen["own"]) == 2 + 1
    assert metrics["vocabulary"] == theirs["vocabulary"]


def test_no_reference_and_no_id_comes_from_outside_the_training_split(workspace):
    splits = Splits.read(workspace)
    world = read_world(workspace, splits, MODEL, KINDS["Ref2Seq"])
    training = {f"u{n}_b{n % 3}" for n in range(TRAIN)}
    assert set(world.item_reviews.review_ids) == training
    assert training <= set(world.features.review_row)
    for n in range(TRAIN + VAL):
        for m in range(3):
            assert set(world.item_reviews.seen_by(f"u{n}", f"b{m}")) == {
                name for name in training if name.endswith(f"b{m}") and not name.startswith(f"u{n}_")
            }
    ids = read_world(workspace, splits, MODEL, KINDS["PETER"]).ids
    assert set(ids.users) == {f"u{n}" for n in range(TRAIN)} and ids.items == ("b0", "b1", "b2")
    assert read_world(workspace, splits, MODEL, KINDS["ST"]).item_reviews.review_ids == []
