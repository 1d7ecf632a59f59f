"""jobs/configs/paper.yaml's generator: its weights counted by hand, and three training steps with batches of 32.

GPT-2's own weights can't be had everywhere: random ones of its shape stand in, loaded from a folder as those would be.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from jobs.runner.config import parse
from showcases.generator.config import TrainGeneratorConfig
from showcases.generator.losses import PC2LLoss
from showcases.generator.tokenizer import learn_tokenizer
from showcases.generator.train import train_generator
from showcases.training import Session, TrainingJob

from .conftest import DISHES, OPINIONS

E, LAYERS, VOCABULARY, POSITIONS, CLIP = 768, 12, 50257, 1024, 512
NORM = 2 * E
TRAIN = 3 * 32  # three steps an epoch


def linear(inputs: int, outputs: int) -> int:
    """Weights and biases of a linear layer."""
    return inputs * outputs + outputs


MLP = linear(E, 4 * E) + linear(4 * E, E)
GPT2 = VOCABULARY * E + POSITIONS * E + LAYERS * (2 * NORM + linear(E, 3 * E) + linear(E, E) + MLP) + NORM
CROSS = LAYERS * (NORM + linear(E, 2 * E) + linear(E, E) + linear(E, E))  # norm, keys and values, queries, out
MMA = 3 * (2 * NORM + linear(E, 3 * E) + linear(E, E) + MLP) + NORM
PROJECTIONS = 2 * (linear(CLIP, E) + E)  # with the stand-in for a missing modality


@pytest.fixture
def config(tmp_path: Path) -> TrainGeneratorConfig:
    """paper.yaml's, but for the weights, spaCy's pipeline and the length: one epoch."""
    folder = tmp_path / "gpt2"
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    texts = [f"The {dish} was {opinion}." for dish in DISHES for opinion in OPINIONS]
    learn_tokenizer(texts * 5, 400).save_pretrained(str(folder))
    paper = parse(["--config", "jobs/configs/paper.yaml"], "test").train_generator
    assert paper.loop.batch_size == 32
    model = replace(paper.model, pretrained=str(folder))
    return replace(paper, spacy_model=None, model=model, loop=replace(paper.loop, epochs=1))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_papers_generator_is_built_from_weights_in_a_folder_and_trains(make_world, config, tmp_path):
    torch.set_num_threads(2)
    reports: list[dict[str, float]] = []
    kept: dict[str, torch.Tensor] = {}

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        reports.append(metrics)
        kept.update(load_file(checkpoint / "model" / "model.safetensors"))

    world = make_world(train=TRAIN, val=4, test=0, dim=CLIP)
    metrics = train_generator(TrainingJob(world, config, "img+text"), Session(report))
    steps = round(metrics["lr"] / config.loop.lr * config.loop.warmup_steps) - 1  # the warm-up counts them
    assert (steps, metrics["train_rows"]) == (3, TRAIN)
    assert all(math.isfinite(reports[0][name]) for name in ("train_loss", "ce", "image_loss", "text_loss"))
    assert reports[0]["ce"] == pytest.approx(math.log(VOCABULARY), rel=0.1)  # random weights know nothing

    before = GPT2LMHeadModel.from_pretrained(config.model.pretrained).state_dict()
    after = {name.removeprefix("decoder."): value for name, value in kept.items() if name.startswith("decoder.")}
    assert GPT2 == 124_439_808 == sum(value.numel() for name, value in before.items() if name != "lm_head.weight")
    assert sum(value.numel() for value in after.values()) == GPT2 + CROSS
    buffers = 2 * (CLIP + 1)  # centre and scale of the features
    encoder = sum(value.numel() for name, value in kept.items() if name.startswith("encoder."))
    assert encoder == PROJECTIONS + MMA + buffers
    for name, value in after.items():
        if name in before:
            assert not torch.equal(value, before[name]), name
            torch.testing.assert_close(value, before[name], rtol=0, atol=1e-5)  # it began there


def test_the_contrastive_heads_are_two_layers_each():
    paper = parse(["--config", "jobs/configs/paper.yaml"], "test").train_generator
    heads = PC2LLoss(E, paper.contrastive, reads_images=True, reads_reviews=True)
    assert sum(weights.numel() for weights in heads.parameters()) == 3 * 2 * linear(E, E)
