"""train_generator: the GPT-2 that writes explanations, a model for each input variant and seed (rows of Table 2)."""

import json
from pathlib import Path
from typing import Any

from jobs.step import Step, StepContext, main
from jobs.variants import Family, train_variants
from showcases.artifacts import Workspace
from showcases.generator.config import MONITOR
from showcases.training import Report

COUNTS = ("train_rows", "val_rows", "hard_negatives")


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    # Here, for the workers alone: Ray Train's controller imports this module too, and transformers takes seconds.
    from ray.train.torch import get_device

    from showcases.generator.train import train_generator_variant

    workspace = Workspace(arguments["root"])
    variant, seed = arguments["variant"], arguments["seed"]
    train_generator_variant(workspace, arguments["config"], variant, seed, report, resume_from, get_device())


def run(context: StepContext) -> None:
    family = Family(
        artifact="generator",
        worker=work,
        monitor=MONITOR,
        larger_is_better=False,
        dataset="gest_s2",
        embedding_space=lambda _, model: json.loads((model / "config.json").read_text())["embedding_space"],
        told=lambda best: f"{best:.3f} nats a word on the validation split",
    )
    figures = train_variants(context, family)
    first = next(iter(figures.values()))
    rows = {name: int(first[name]) for name in COUNTS}
    failures = {"rows left out": int(first["left_out"])}
    context.record("generator", rows={"models": len(figures), **rows}, failures=failures, metrics=figures)


STEP = Step(
    name="train_generator",
    reads=("gest_s2", "image_embeddings", "sentence_embeddings"),
    writes=("generator",),
    sections=("seed", "train_generator"),
    run=run,
    resumes=True,
)

if __name__ == "__main__":
    main(STEP)
