"""The objective against its equation, and training from a workspace: what is learned, resumed, refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from showcases.errors import ConfigError
from showcases.generator import ContrastiveConfig, Generator, GeneratorPredictor, TrainGeneratorConfig
from showcases.generator.config import MONITOR
from showcases.generator.data import IGNORED, Features, GeneratorData, pad_features, read_rows
from showcases.generator.examples import HARD, prepared_rows
from showcases.generator.objective import Objective, with_begin
from showcases.generator.packed import decode_packed
from showcases.generator.train import build_generator, nats_per_word, train_generator
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable, review_features
from showcases.training import LoopConfig, Session, TrainingJob

from .conftest import DISHES


@pytest.fixture
def config(small) -> TrainGeneratorConfig:
    loop = LoopConfig(epochs=2, batch_size=32, lr=5e-3, optimizer="adamw", checkpoint_every=1)
    return TrainGeneratorConfig(model=small, loop=loop)


class Kept:
    """A report that keeps each checkpoint, as Ray Train does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.metrics, self.checkpoints = folder, [], []

    def __call__(self, metrics: dict[str, float], checkpoint: Path | None) -> None:
        self.metrics.append(metrics)
        assert checkpoint is not None
        self.checkpoints.append(self.folder / str(len(self.checkpoints)))
        shutil.copytree(checkpoint, self.checkpoints[-1])


def named_dishes(workspace: Workspace, model: Path) -> tuple[float, float]:
    """Shares of the test split's texts that name the dish on the photo, and that name a dish at all."""
    rows = [row for row in workspace.read_table("gest_s2").to_pylist() if row["split"] == "test"]
    images = EmbeddingTable.read(workspace, "image_embeddings")
    features = review_features(
        EmbeddingTable.read(workspace, "sentence_embeddings"), [row["history_review_ids"][0] for row in rows]
    )
    photos, photo_mask = pad_features([images.gather(row["photo_ids"]) for row in rows])
    reviews, review_mask = pad_features([features[row["history_review_ids"][0]][None] for row in rows])
    texts = GeneratorPredictor(model)(
        {"images": photos, "n_images": photo_mask.sum(1), "reviews": reviews, "n_reviews": review_mask.sum(1)}
    )["text"]
    right = [next(d for d in DISHES if d in row["explanation"]) in text for row, text in zip(rows, texts, strict=True)]
    return float(np.mean(right)), float(np.mean([any(dish in text for dish in DISHES) for text in texts]))


@pytest.mark.parametrize(("variant", "least", "most"), [("img+text", 0.9, 1.0), ("text", 0.0, 0.6)])
def test_it_names_what_the_photo_shows_and_without_photos_it_cannot(make_world, config, tmp_path, variant, least, most):
    workspace, report = make_world(train=256), Kept(tmp_path)
    longer = replace(config, loop=replace(config.loop, epochs=12, checkpoint_every=12))
    train_generator(TrainingJob(workspace, longer, variant), Session(report))
    right, any_dish = named_dishes(workspace, report.checkpoints[-1] / "model")
    assert any_dish >= 0.9  # it speaks of dishes either way
    assert least <= right <= most
    assert prepared_rows(workspace, longer, variant, 0)[HARD].null_count == (0 if variant == "img+text" else 256)


def test_a_resumed_run_ends_with_the_same_weights(make_world, config, tmp_path):
    workspace = make_world(train=64)
    config = replace(config, model=replace(config.model, dropout=0.1), loop=replace(config.loop, schedule="cosine"))
    whole, again = Kept(tmp_path / "whole"), Kept(tmp_path / "again")
    train_generator(TrainingJob(workspace, config, "img+text"), Session(whole))
    train_generator(TrainingJob(workspace, config, "img+text"), Session(again, whole.checkpoints[0]))
    assert len(again.metrics) == 1 and again.metrics[0] == whole.metrics[1]
    straight, resumed = (
        Generator.from_pretrained(folder / "model").state_dict()
        for folder in (whole.checkpoints[-1], again.checkpoints[-1])
    )
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_the_seed_decides_the_weights(make_world, config, tmp_path):
    workspace = make_world(train=32)
    config = replace(config, loop=replace(config.loop, epochs=1))
    figures = []
    for number, seed in enumerate((1, 1, 2)):
        report = Kept(tmp_path / str(number))
        figures.append(train_generator(TrainingJob(workspace, config, "img", seed), Session(report))[MONITOR])
    assert figures[0] == figures[1] != figures[2]


def test_an_empty_split_is_refused_with_what_was_left_out(make_world, config):
    with pytest.raises(ConfigError, match="no val row"):
        train_generator(TrainingJob(make_world(train=8, val=0), config, "img"), Session(lambda *_: None))


@pytest.fixture
def prepared(make_world, config) -> Callable[..., tuple[Objective, GeneratorData]]:
    def prepare(variant: str = "img+text", **losses: object) -> tuple[Objective, GeneratorData]:
        workspace = make_world(train=6)
        rows = read_rows(workspace, ("train",), config.model)["train"]
        torch.manual_seed(0)
        features = Features.read(workspace, ("train",))
        generator = build_generator(workspace, features, config, variant)  # type: ignore[arg-type]
        objective = Objective(generator, ContrastiveConfig(**losses)).eval()  # type: ignore[arg-type]
        hard = [None if n == 2 else text.replace("The", "Never the") for n, text in enumerate(rows.texts)]
        return objective, GeneratorData(rows, generator.tokenizer, 20, hard)

    return prepare


def test_the_loss_is_equation_11(prepared):
    objective, data = prepared(lambda_image=0.3, lambda_text=0.7)
    batch = data.batch(range(6))
    loss, parts = objective(batch)
    scores = objective.generator(batch.images, batch.image_mask, batch.reviews, batch.review_mask, batch.tokens)
    log_probabilities = scores.detach().log_softmax(-1)
    nats = [
        -float(log_probabilities[row, place, target])
        for row in range(6)
        for place, target in enumerate(batch.targets[row].tolist())
        if target != IGNORED
    ]
    assert float(parts["ce"]) == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert float(parts["image_loss"]) > 0 and float(parts["text_loss"]) > 0
    expected = parts["ce"] + 0.3 * parts["image_loss"] + 0.7 * parts["text_loss"]
    assert float(loss.detach()) == pytest.approx(float(expected))
    per_word = nats_per_word(objective, data)
    assert per_word == pytest.approx(sum(nats) / sum(len(text.split()) for text in data.rows.texts), rel=1e-5)


def test_decoding_without_padding_is_decoding_with_it(prepared):
    objective, data = prepared()
    batch = data.batch(range(6))
    masks = with_begin(torch.cat([batch.text_mask, batch.hard_mask]))
    assert len(set(masks.sum(1).tolist())) > 1  # of unlike lengths
    weights = list(objective.generator.parameters())
    generator = objective.generator
    states, gradients = [], []
    for packed in (True, False):
        encoded = generator.encode(batch.images, batch.image_mask, batch.reviews, batch.review_mask)
        tokens = torch.cat([batch.tokens, batch.hard_tokens])
        if packed:
            hidden = decode_packed(generator.decoder, tokens, masks, encoded)
            assert (hidden[~masks] == 0).all()
        else:
            hidden = torch.cat([generator.decode(half, encoded) for half in tokens.chunk(2)])  # transformers' own
        states.append(hidden[masks])
        turned = torch.linspace(-1, 1, states[-1].numel()).view_as(states[-1])
        gradients.append(torch.autograd.grad((states[-1] * turned).sum(), weights, allow_unused=True))
    torch.testing.assert_close(*states)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_a_hard_negative_costs_an_example_without_entities_nothing(prepared):
    objective, data = prepared(text_loss="none")
    plain, plain_data = prepared(text_loss="none", image_loss="cl")
    plain.load_state_dict(objective.state_dict())
    batch = data.batch([2])  # alone, without a hard negative: nothing to tell it from
    assert float(objective(batch)[1]["image_loss"]) == pytest.approx(0.0, abs=1e-6)
    with_hard = data.batch([1])
    assert float(objective(with_hard)[1]["image_loss"]) > 0.01
    assert float(plain(plain_data.batch([1]))[1]["image_loss"]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("variant", ["img+text", "img", "text"])
@pytest.mark.parametrize("image_loss", ["none", "cl", "ccl"])
@pytest.mark.parametrize("text_loss", ["none", "pcl"])
def test_every_parameter_gets_a_gradient(prepared, variant, image_loss, text_loss):
    """DistributedDataParallel waits for ever for a parameter that no loss reaches."""
    objective, data = prepared(variant, image_loss=image_loss, text_loss=text_loss)
    objective(data.batch(range(6)))[0].backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
