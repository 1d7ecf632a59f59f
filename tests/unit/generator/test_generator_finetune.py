"""The decoder fine-tuned alone: a plain GPT-2 that has learned the reviews' English, which a generator starts from."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from showcases.errors import ConfigError, ModelError
from showcases.generator import TrainGeneratorConfig
from showcases.generator.config import MONITOR
from showcases.generator.data import Features
from showcases.generator.decoder import starting_decoder
from showcases.generator.finetune import finetune_decoder
from showcases.generator.tokenizer import learn_tokenizer
from showcases.generator.train import build_generator
from showcases.storage.artifacts import Workspace
from showcases.training import LoopConfig, Session, TrainingJob
from tests.artifacts import finish

from .conftest import DISHES, OPINIONS

TEXTS = [f"The {dish} was {word} and the {other} too." for dish in DISHES for word in OPINIONS for other in DISHES]


@pytest.fixture
def config(small) -> TrainGeneratorConfig:
    loop = LoopConfig(epochs=6, batch_size=8, lr=5e-3, optimizer="adamw")
    return TrainGeneratorConfig(model=small, finetune=True, finetune_loop=loop)


def with_texts(workspace: Workspace, texts: list[str]) -> Workspace:
    workspace.write_table(pa.table({"review_id": [str(n) for n in range(len(texts))], "text": texts}), "gest_ft")
    finish(workspace, "gest_ft")
    return workspace


def nats_per_word(folder: Path, texts: list[str]) -> float:
    """By transformers alone, a text at a time."""
    model, tokenizer = GPT2LMHeadModel.from_pretrained(folder), PreTrainedTokenizerFast.from_pretrained(folder)
    nats = 0.0
    for text in texts:
        ids = torch.tensor([tokenizer.eos_token_id, *tokenizer.encode(text), tokenizer.eos_token_id])
        with torch.no_grad():
            nats += float(F.cross_entropy(model(ids[None, :-1]).logits[0], ids[1:], reduction="sum"))
    return nats / sum(len(text.split()) for text in texts)


def test_it_learns_to_speak_and_a_generator_starts_from_it(make_world, config, tmp_path):
    workspace, kept = with_texts(make_world(train=32), TEXTS), []

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        kept.append((metrics, copytree(checkpoint, tmp_path / str(len(kept)))))

    best = finetune_decoder(TrainingJob(workspace, config, None), Session(report))
    first, last = kept[0][1] / "model", kept[-1][1] / "model"
    assert best[MONITOR] < 0.6 * kept[0][0][MONITOR]
    assert nats_per_word(last, TEXTS) < 0.6 * nats_per_word(first, TEXTS)
    features = Features.read(workspace, ("train",))
    generator = build_generator(workspace, features, config, "img", finetuned=last)
    tuned = GPT2LMHeadModel.from_pretrained(last).state_dict()
    started = generator.decoder.state_dict()
    assert tuned and all(torch.equal(started[name], tensor) for name, tensor in tuned.items())
    assert any("crossattention" in name for name in started) and not any("crossattention" in name for name in tuned)


def test_too_few_texts_are_refused(make_world, config):
    workspace = with_texts(make_world(train=8), TEXTS[:5])
    with pytest.raises(ConfigError, match="gest_ft has 5 texts"):
        finetune_decoder(TrainingJob(workspace, config, None), Session(lambda *_: None))


def test_random_weights_of_the_size_of_given_ones(small, tmp_path):
    learn_tokenizer(TEXTS, 300).save_pretrained(tmp_path)
    GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=64, n_embd=16, n_layer=2, n_head=2)).save_pretrained(
        tmp_path
    )
    asked = replace(small, pretrained=str(tmp_path))
    given, tokenizer = starting_decoder(asked, [])
    fresh, same = starting_decoder(replace(asked, random_init=True), [])
    assert len(tokenizer) == len(same)
    shapes = [{name: tuple(t.shape) for name, t in model.state_dict().items()} for model in (given, fresh)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(given.transformer.wte.weight, fresh.transformer.wte.weight)
    with pytest.raises(ModelError, match="no GPT-2 tokenizer"):
        starting_decoder(replace(asked, pretrained=str(tmp_path / "none"), random_init=True), [])
