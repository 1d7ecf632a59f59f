"""train_generator: the GPT-2 that writes explanations, a model for each input variant and seed (rows of Table 2)."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs.runner.execute import main
from jobs.runner.requirements import generator_needs
from jobs.runner.step import Step, StepContext, fingerprint_of
from jobs.training.examples import Prepared, prepare_generator, stream
from jobs.training.ray_train import remove_folder, train
from jobs.training.variants import Family, train_variants
from showcases.generator.config import MONITOR, Inputs, TrainGeneratorConfig
from showcases.storage.artifacts import Workspace
from showcases.training import Report

FINETUNED = "_finetuned"  # under the workspace root: decoders that models start from


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    # Here, for the workers alone: Ray Train's controller imports this module too, and transformers takes seconds.
    from ray.train.torch import get_device

    from showcases.generator.train import train_generator_variant

    workspace = Workspace(arguments["root"])
    variant, seed = arguments["variant"], arguments["seed"]
    with tempfile.TemporaryDirectory() as folder:
        finetuned = arguments.get("finetuned")
        decoder = workspace.download(finetuned[0], Path(folder), *finetuned[1:]) if finetuned else None
        rows = stream(workspace, arguments["examples"], seed, arguments["config"].loop.run)
        train_generator_variant(
            workspace, arguments["config"], variant, seed, report, resume_from, get_device(), decoder, rows
        )


def finetune(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    from ray.train.torch import get_device

    from showcases.generator.finetune import finetune_decoder

    workspace = Workspace(arguments["root"])
    finetune_decoder(workspace, arguments["config"], arguments["seed"], report, resume_from, get_device())


def prepare(context: StepContext, config: TrainGeneratorConfig, variant: Inputs, seed: int) -> dict[str, Any]:
    """The examples, and the decoder to start from where that is one fine-tuned here."""
    examples = examples_of(context, config, variant, seed)
    return {"examples": examples} | (finetuned_decoder(context, config, seed) if config.finetune else {})


def examples_of(context: StepContext, config: TrainGeneratorConfig, variant: Inputs, seed: int) -> Prepared:
    hard = config.contrastive.image_loss == "ccl" and "img" in variant
    return prepare_generator(context, context.config.seed + seed, hard, config.spacy_model)


def finetuned_fingerprint(context: StepContext, config: TrainGeneratorConfig, seed: int) -> str:
    """Of the config and inputs of the decoder that is trained as a language model on gest_ft."""
    own = {"model": asdict(config.model), "loop": asdict(config.finetune_loop), "seed": context.config.seed + seed}
    inputs = {name: context.workspace.require(name).digest for name in ("gest_ft", "gest_s2")}
    return fingerprint_of(own, inputs)


def finetuned_decoder(context: StepContext, config: TrainGeneratorConfig, seed: int) -> dict[str, Any]:
    """Where the decoder lies that was trained as a language model on gest_ft."""
    fingerprint = finetuned_fingerprint(context, config, seed)
    folder = f"seed{seed}-{fingerprint}"
    arguments = {"root": context.workspace.root, "config": config, "seed": context.config.seed + seed}
    metrics = train(context, f"finetuned-{folder}", finetune, arguments, FINETUNED, (folder,), fingerprint)
    context.say(f"decoder fine-tuned on gest_ft: {metrics[f'best_{MONITOR}']:.3f} nats a word on held-out texts")
    return {"finetuned": (FINETUNED, folder)}


FAMILY = Family(
    artifact="generator",
    worker=work,
    monitor=MONITOR,
    larger_is_better=False,
    dataset="gest_s2",
    embedding_space=lambda _, model: json.loads((model / "config.json").read_text())["embedding_space"],
    told=lambda best: f"{best:.3f} nats a word on the validation split",
    prepare=prepare,
)


def run(context: StepContext) -> None:
    options = context.config.train_generator
    if context.config.force and options.finetune:
        for seed in options.seeds:
            folder = f"seed{seed}-{finetuned_fingerprint(context, options, seed)}"
            remove_folder(context.workspace, FINETUNED, folder)
    figures = train_variants(context, FAMILY)
    first = next(iter(figures.values()))
    examples = examples_of(context, options, options.variants[0], options.seeds[0])
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

if __name__ == "__main__":
    main(STEP)
