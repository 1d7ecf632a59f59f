"""train_selector: the DPP that chooses photos, a model for each user profile and seed (rows of Table 3)."""

import tempfile
from pathlib import Path
from typing import Any

from jobs import tracking
from jobs.step import Step, StepContext, main
from jobs.training import train
from showcases.artifacts import Workspace, variant_folder
from showcases.embeddings import EmbeddingTable
from showcases.selector.config import Profile
from showcases.selector.train import train_selector_variant
from showcases.training import Report


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    workspace = Workspace(arguments["root"])
    variant, seed, device = arguments["variant"], arguments["seed"], arguments["device"]
    train_selector_variant(workspace, arguments["config"], variant, seed, report, resume_from, device)


def run(context: StepContext) -> None:
    config = context.config.train_selector
    monitor = f"val_f1@{config.k}"
    figures: dict[str, dict[str, float]] = {}
    for seed in config.seeds:
        for variant in config.variants:
            folder = variant_folder(variant, seed)
            metrics = train(
                context, f"selector-{folder}", work, _arguments(context, variant, seed), "selector", (folder,)
            )
            best = metrics[f"best_{monitor}"]  # of the weights that are kept; the others are of the last epoch
            context.say(f"{variant}, seed {seed}: {monitor} {100 * best:.2f}%")
            if not figures:
                register(context, variant, folder, {monitor: best}, monitor)
            figures[folder] = metrics
    context.record("selector", rows={"models": len(figures)}, metrics=figures)


def _arguments(context: StepContext, variant: Profile, seed: int) -> dict[str, Any]:
    return {
        "root": context.workspace.root,
        "config": context.config.train_selector,
        "variant": variant,
        "seed": context.config.seed + seed,
        "device": "cuda" if context.config.cluster.gpu else "cpu",
    }


def register(context: StepContext, variant: Profile, folder: str, metrics: dict[str, float], monitor: str) -> None:
    """The served variant goes to the registry; it becomes champion if it beats the present one."""
    workspace = context.workspace
    with tempfile.TemporaryDirectory() as temporary:
        version, wins = tracking.register(
            context.tracker,
            "showcases-selector",
            workspace.download("selector", Path(temporary) / "model", folder),
            metrics,
            monitor=monitor,
            larger_is_better=True,
            tags={
                "validation_data": workspace.require("gest_s1").digest,
                "embedding_space": EmbeddingTable.read(workspace, "image_embeddings").model_id,
                "variant": variant,
            },
            comparable=("validation_data", "embedding_space"),
        )
    context.say(f"registered showcases-selector version {version}" + (", the new champion" if wins else ""))


STEP = Step(
    name="train_selector",
    reads=("gest_s1", "photos", "image_embeddings", "sentence_embeddings"),
    writes=("selector",),
    sections=("seed", "train_selector"),
    run=run,
)

if __name__ == "__main__":
    main(STEP)
