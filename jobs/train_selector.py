"""train_selector: trains the DPP that selects photos, per user profile and seed (rows of Table 3)."""

from dataclasses import replace

from jobs.runner.execute import main
from jobs.runner.needs import gpu_needs
from jobs.runner.step import Step, StepContext
from jobs.training.examples import prepare_selector
from jobs.training.variants import Family, train_variants
from showcases.selector.config import CHANCE_CAUSES, MONITOR, Profile, TrainSelectorConfig
from showcases.training import Session, TrainingJob

Job = TrainingJob[TrainSelectorConfig, Profile]


def train_on_rank(job: Job, session: Session) -> None:
    from showcases.selector.train import train_selector  # local import: only workers need torch

    train_selector(job, session)


def prepare(context: StepContext, job: Job) -> Job:
    """Add the examples, which are the same for all variants."""
    return replace(job, examples=prepare_selector(context, job.seed))


def run(context: StepContext) -> None:
    figures = train_variants(context, FAMILY, context.config.train_selector)
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
FAMILY = Family(STEP, "selector", train_on_rank, prepare, "gest_s1", MONITOR, "nats a set", CHANCE_CAUSES)

if __name__ == "__main__":
    main(STEP)
