"""The baselines of Table 2 as a family of models, trained with our generator's loop and budget.

Only `jobs.reproduce` trains them, for Table 2.
"""

from dataclasses import replace

from jobs import train_generator
from jobs.runner.step import StepContext
from jobs.training.examples import prepare_generator
from jobs.training.variants import Family
from showcases.baselines import Name
from showcases.generator.config import MONITOR, TrainGeneratorConfig
from showcases.training import Session, TrainingJob

Job = TrainingJob[TrainGeneratorConfig, Name]


def train_on_rank(job: Job, session: Session) -> None:
    from showcases.baselines.train import train_baseline  # local import, as in jobs.train_generator

    train_baseline(job, session)


def prepare(context: StepContext, job: Job) -> Job:
    """Add our generator's examples, without hard negatives."""
    return replace(job, examples=prepare_generator(context, job.seed, hard=False, spacy_model=None))


def of_baseline(config: TrainGeneratorConfig) -> TrainGeneratorConfig:
    """Our generator's options; those irrelevant to a baseline are fixed, so that they don't change its fingerprint."""
    none = replace(config.contrastive, image_loss="none", text_loss="none")
    return replace(config, variants=("text",), seeds=(0,), spacy_model=None, contrastive=none, finetune=False)


FAMILY = Family(train_generator.STEP, "baseline", train_on_rank, prepare, "gest_s2", MONITOR, "nats a word")
