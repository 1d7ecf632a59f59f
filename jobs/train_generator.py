"""train_generator: the GPT-2 that writes explanations, a model for each input variant and seed (rows of Table 2)."""

import json
import tempfile
from pathlib import Path
from typing import Any

from jobs import tracking
from jobs.step import Step, StepContext, main
from jobs.training import train
from showcases.artifacts import Workspace, variant_folder
from showcases.generator.config import Inputs
from showcases.generator.train import MONITOR, train_generator_variant
from showcases.training import Report

COUNTS = ("train_rows", "val_rows", "hard_negatives")


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    from ray.train.torch import get_device

    workspace = Workspace(arguments["root"])
    variant, seed = arguments["variant"], arguments["seed"]
    train_generator_variant(workspace, arguments["config"], variant, seed, report, resume_from, get_device())


def run(context: StepContext) -> None:
    config = context.config.train_generator
    figures: dict[str, dict[str, float]] = {}
    for seed in config.seeds:
        for variant in config.variants:
            folder = variant_folder(variant, seed)
            metrics = train(
                context, f"generator-{folder}", work, _arguments(context, variant, seed), "generator", (folder,)
            )
            best = metrics[f"best_{MONITOR}"]  # of the weights that are kept; the others are of the last epoch
            context.say(f"{variant}, seed {seed}: {best:.3f} nats a word on the validation split")
            if not figures:
                register(context, variant, folder, {MONITOR: best})
            figures[folder] = metrics
    first = next(iter(figures.values()))
    rows = {name: int(first[name]) for name in COUNTS}
    failures = {"rows left out": int(first["left_out"])}
    context.record("generator", rows={"models": len(figures), **rows}, failures=failures, metrics=figures)


def _arguments(context: StepContext, variant: Inputs, seed: int) -> dict[str, Any]:
    return {
        "root": context.workspace.root,
        "config": context.config.train_generator,
        "variant": variant,
        "seed": context.config.seed + seed,
    }


def register(context: StepContext, variant: Inputs, folder: str, metrics: dict[str, float]) -> None:
    """The served variant goes to the registry; it becomes champion if it beats the present one."""
    workspace = context.workspace
    with tempfile.TemporaryDirectory() as temporary:
        model = workspace.download("generator", Path(temporary) / "model", folder)
        version, wins = tracking.register(
            context.tracker,
            "showcases-generator",
            model,
            metrics,
            monitor=MONITOR,
            larger_is_better=False,
            tags={
                "validation_data": workspace.require("gest_s2").digest,
                "embedding_space": json.loads((model / "config.json").read_text())["embedding_space"],
                "variant": variant,
            },
            comparable=("validation_data", "embedding_space"),
        )
    context.say(f"registered showcases-generator version {version}" + (", the new champion" if wins else ""))


STEP = Step(
    name="train_generator",
    reads=("gest_s2", "image_embeddings", "sentence_embeddings"),
    writes=("generator",),
    sections=("seed", "train_generator"),
    run=run,
)

if __name__ == "__main__":
    main(STEP)
