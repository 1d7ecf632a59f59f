"""Training of one variant of the generator, from a workspace to a model folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from showcases.errors import ConfigError
from showcases.generator.card import losses_in_words
from showcases.generator.config import MONITOR, Inputs, TrainGeneratorConfig
from showcases.generator.data import COLUMNS, Features, GeneratorData, select_rows
from showcases.generator.decoder import starting_decoder
from showcases.generator.examples import HARD, prepared_rows, training_texts
from showcases.generator.model import Generator
from showcases.generator.objective import Objective, nats_per_word
from showcases.model_card import Training
from showcases.storage.artifacts import Workspace
from showcases.training import Report, Stream, fit
from showcases.training.batches import in_memory
from showcases.training.parallel import distributed

VALIDATION_BATCH = 64  # examples
SAMPLE = 10_000  # rows that centre and scale of the features are taken from


def train_generator_variant(
    workspace: Workspace,
    config: TrainGeneratorConfig,
    variant: Inputs,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str | torch.device = "cpu",
    finetuned: Path | None = None,
    examples: Stream | None = None,
) -> dict[str, float]:
    """Train a generator on the training split of GEST-s2, on one worker or many.

    Args:
        workspace: with gest_s2 and both embeddings.
        config: options.
        variant: modalities that it reads.
        seed: of weights, entity replacement and order.
        report: called after each validation; its checkpoint folder holds the model in `model/`.
        resume_from: a checkpoint that an earlier call reported.
        device: torch device of this worker.
        finetuned: folder of the decoder to start from, where `config.finetune` asks for one (`finetune_decoder`).
        examples: the training split as `prepared_rows` has it; none prepares it here, in memory.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better), ce, image_loss, text_loss, rows and more.

    Raises:
        ArtifactError, ConfigError, ModelError: what is missing or does not fit.
        LossError: the loss is not finite.
    """
    features = Features.read(workspace, ("train", "val"))
    examples = examples or in_memory(prepared_rows(workspace, config, variant, seed), seed, config.loop.run)
    val_rows = select_rows(_rows(workspace, "val"), features, config.model)
    _require(examples.rows, len(val_rows), val_rows.left_out)
    torch.manual_seed(seed)
    generator = build_generator(workspace, features, config, variant, finetuned)
    objective = Objective(generator, config.contrastive).to(device)
    tokenizer = generator.tokenizer
    val = GeneratorData(val_rows, tokenizer, config.model.max_tokens)
    facts = {"train_rows": examples.rows, "val_rows": len(val), "vocabulary": len(tokenizer)}
    facts |= {"parameters": sum(parameter.numel() for parameter in generator.parameters())}
    data = f"{examples.rows:,} training and {len(val):,} validation examples of a corpus in the form of GEST-s2"
    told = Training(data, losses_in_words(config.contrastive, variant))

    def loss(model: nn.Module, table: pa.Table) -> tuple[Tensor, dict[str, float]]:
        rows = select_rows(table.to_pylist(), features, config.model)
        hard = table[HARD].to_pylist() if objective.contrastive.needs_hard else None
        batch = GeneratorData(rows, tokenizer, config.model.max_tokens, hard).batch(range(len(rows)))
        value, parts = model(batch.to(device))
        return value, {name: float(part) for name, part in parts.items()}

    def validate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Objective)
        numbers = np.arange(len(val))
        chunks = (numbers[i : i + VALIDATION_BATCH] for i in range(0, len(val), VALIDATION_BATCH))
        batches = (val.batch(chunk).to(device) for chunk in chunks)
        nats = nats_per_word(model.generator, batches, sum(val.words))
        return {MONITOR: nats, **{name: float(number) for name, number in facts.items()}}

    def save(model: nn.Module, folder: Path) -> None:
        assert isinstance(model, Objective)
        model.generator.save_pretrained(folder, told)

    return fit(
        distributed(objective, device),
        loss,
        validate,
        save,
        examples,
        replace(config.loop, seed=seed),
        report,
        monitor=MONITOR,
        larger_is_better=False,
        resume_from=resume_from,
    )


def build_generator(
    workspace: Workspace,
    features: Features,
    config: TrainGeneratorConfig,
    variant: Inputs,
    finetuned: Path | None = None,
) -> Generator:
    """A generator with pretrained, fine-tuned or new weights and its tokenizer, for features of this width."""
    texts = training_texts(workspace) if finetuned is None and config.model.pretrained is None else []
    decoder, tokenizer = starting_decoder(config.model, texts, finetuned=finetuned)
    vectors, reviews = features.images.vectors, features.review_vectors
    space = features.images.model_id
    generator = Generator(config.model, tokenizer, vectors.shape[1], reviews.shape[1], variant, space, decoder)
    sample = select_rows(_rows(workspace, "train", SAMPLE), features, config.model)
    if len(sample):
        photos, history = np.unique(np.concatenate(sample.photos)), np.unique(np.concatenate(sample.history))
        generator.encoder.standardise(
            torch.from_numpy(vectors[photos].astype(np.float32)), torch.from_numpy(reviews[history])
        )
    return generator


def _rows(workspace: Workspace, split: str, most: int | None = None) -> list[dict[str, Any]]:
    table = workspace.read_table("gest_s2", COLUMNS).filter(pc.field("split") == split)
    return table.slice(0, most).to_pylist()  # type: ignore[no-any-return]


def _require(train: int, val: int, left_out: dict[str, int]) -> None:
    for split, count in (("train", train), ("val", val)):
        if not count:
            raise ConfigError(
                f"gest_s2 has no {split} row with an explanation and an embedded photo (left out: {left_out}); "
                "the corpus is too small, or the classifier's threshold too high (build_gest.threshold)"
            )
