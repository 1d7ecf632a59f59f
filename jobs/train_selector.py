"""train_selector: the DPP that chooses photos, a model for each user profile and seed (rows of Table 3)."""

from pathlib import Path
from typing import Any

from jobs.runner.execute import main
from jobs.runner.requirements import gpu_needs
from jobs.runner.step import Step, StepContext
from jobs.training.examples import prepare_selector, stream
from jobs.training.variants import Family, train_variants
from showcases.selector.config import CHANCE_CAUSES, MONITOR, Profile, TrainSelectorConfig
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable
from showcases.training import Report


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    from ray.train.torch import get_device

    from showcases.selector.train import train_selector_variant

    workspace = Workspace(arguments["root"])
    variant, seed, device = arguments["variant"], arguments["seed"], str(get_device())
    rows = stream(workspace, arguments["examples"], seed, arguments["config"].loop.run)
    train_selector_variant(workspace, arguments["config"], variant, seed, report, resume_from, device, rows)


def prepare(context: StepContext, config: TrainSelectorConfig, variant: Profile, seed: int) -> dict[str, Any]:
    """The examples, the same for all variants."""
    return {"examples": prepare_selector(context, context.config.seed + seed)}


FAMILY = Family(
    artifact="selector",
    worker=work,
    monitor=MONITOR,
    larger_is_better=False,
    dataset="gest_s1",
    embedding_space=lambda workspace, _: EmbeddingTable.read(workspace, "image_embeddings").model_id,
    told=lambda best: f"{best:.3f} nats a set on the validation split",
    prepare=prepare,
    chance_causes=CHANCE_CAUSES,
)


def run(context: StepContext) -> None:
    figures = train_variants(context, FAMILY)
    context.record("selector", rows={"models": len(figures)}, metrics=figures)


STEP = Step(
    name="train_selector",
    reads=("gest_s1", "photos", "image_embeddings", "sentence_embeddings"),
    writes=("selector",),
    sections=("seed", "train_selector"),
    run=run,
    resumes=True,
    needs=gpu_needs,
)

if __name__ == "__main__":
    main(STEP)
