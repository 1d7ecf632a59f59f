"""The baselines of Table 2 as a family of models: Ray Train runs beside those of our generator, by its loop and budget.

No step of the flow trains them; `jobs.reproduce` does, where Table 2 is asked for.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.runner.step import StepContext
from jobs.training.examples import prepare_generator, stream
from jobs.training.variants import Family
from showcases.generator.config import MONITOR, TrainGeneratorConfig
from showcases.storage.artifacts import Workspace
from showcases.training import Report


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    # here, for the workers alone, as in jobs.train_generator
    from ray.train.torch import get_device

    from showcases.baselines.train import train_baseline

    workspace, seed = Workspace(arguments["root"]), arguments["seed"]
    rows = stream(workspace, arguments["examples"], seed)
    train_baseline(workspace, arguments["config"], arguments["variant"], seed, report, resume_from, get_device(), rows)


def prepare(context: StepContext, config: TrainGeneratorConfig, name: str, seed: int) -> dict[str, Any]:
    """The examples of our generator, without hard negatives."""
    return {"examples": prepare_generator(context, context.config.seed + seed, hard=False, spacy_model=None)}


def of_baseline(config: TrainGeneratorConfig) -> TrainGeneratorConfig:
    """Our generator's options with all that makes no difference to a baseline set to one value, for one fingerprint."""
    none = replace(config.contrastive, image_loss="none", text_loss="none")
    return replace(config, variants=("text",), seeds=(0,), spacy_model=None, contrastive=none, finetune=False)


FAMILY = Family(
    artifact="baseline",
    worker=work,
    monitor=MONITOR,
    larger_is_better=False,
    dataset="gest_s2",
    embedding_space=lambda _, model: json.loads((model / "config.json").read_text())["embedding_space"],
    told=lambda best: f"{best:.3f} nats a word on the validation split",
    prepare=prepare,
)
