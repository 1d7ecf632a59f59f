"""train_generator: trains the GPT-2 that writes explanations, per input variant and seed (rows of Table 2)."""

from dataclasses import asdict, replace

from jobs.runner.execute import main
from jobs.runner.needs import generator_needs
from jobs.runner.step import Step, StepContext, fingerprint_of
from jobs.training.examples import prepare_generator
from jobs.training.ray_train import train
from jobs.training.variants import Family, train_variants
from showcases.generator.config import MONITOR, Inputs, TrainGeneratorConfig
from showcases.training import Prepared, Session, TrainingJob

FINETUNED = "_finetuned"  # under the workspace root: fine-tuned decoders

Job = TrainingJob[TrainGeneratorConfig, Inputs]


def train_on_rank(job: Job, session: Session) -> None:
    # Local import: only workers need transformers, which takes seconds; Ray Train's controller imports this module too.
    from showcases.generator.train import train_generator

    train_generator(job, session)


def finetune_on_rank(job: TrainingJob[TrainGeneratorConfig, None], session: Session) -> None:
    from showcases.generator.finetune import finetune_decoder

    finetune_decoder(job, session)


def prepare(context: StepContext, job: Job) -> Job:
    """Add the examples, and the fine-tuned decoder if configured."""
    job = replace(job, examples=examples_of(context, job))
    if not job.config.finetune:
        return job
    decoder = finetuning(context, job)
    loss = train(context, decoder, finetune_on_rank)[FAMILY.objective]
    context.say(f"decoder fine-tuned on gest_ft: {loss:.3f} nats a word on held-out texts")
    return replace(job, finetuned=decoder.place)


def examples_of(context: StepContext, job: Job) -> Prepared:
    return prepare_generator(context, job.seed, job.config.needs_hard(job.variant), job.config.spacy_model)


def finetuning(context: StepContext, job: Job) -> TrainingJob[TrainGeneratorConfig, None]:
    """The job that fine-tunes the decoder as a language model on gest_ft."""
    own = {"model": asdict(job.config.model), "loop": asdict(job.config.finetune_loop), "seed": job.seed}
    inputs = {name: context.workspace.require(name).digest for name in ("gest_ft", "gest_s2")}
    fingerprint = fingerprint_of(own, inputs)
    place = (FINETUNED, f"seed{job.seed}-{fingerprint}")
    return TrainingJob(context.workspace, job.config, None, job.seed, place, fingerprint)


def run(context: StepContext) -> None:
    config = context.config.train_generator
    jobs = [FAMILY.job(context, config, config.variants[0], seed, (FAMILY.artifact,)) for seed in config.seeds]
    if context.config.force and config.finetune:
        for job in jobs:
            context.workspace.remove(*finetuning(context, job).place)
    figures = train_variants(context, FAMILY, config)
    first = next(iter(figures.values()))
    examples = examples_of(context, jobs[0])
    rows = {"models": len(figures), "train_rows": examples.rows, "val_rows": int(first["val_rows"])}
    rows |= {"hard_negatives": examples.hard_negatives}
    failures = {f"rows left out: {reason}": count for reason, count in examples.left_out.items()}
    context.record("generator", rows=rows, failures=failures, metrics=figures)


STEP = Step(
    name="train_generator",
    reads=("gest_s2", "image_embeddings", "sentence_embeddings"),
    writes=("generator",),
    sections=("seed", "train_generator"),
    run=run,
    resumes=True,
    needs=generator_needs,
)
FAMILY = Family(STEP, "generator", train_on_rank, prepare, "gest_s2", MONITOR, "nats a word")

if __name__ == "__main__":
    main(STEP)
