"""Training of one baseline, from a workspace to a model folder: ours in everything but the model.

The same examples in the same order, tokenizer, loop and budget; the same figure decides which weights are kept.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from showcases.baselines.base import Baseline
from showcases.baselines.config import BaselineConfig, Name, sized_like
from showcases.baselines.data import COLUMNS, BaselineData, World
from showcases.baselines.ids import Ids, ItemReviews
from showcases.baselines.kinds import KINDS
from showcases.errors import ConfigError
from showcases.generator.config import MONITOR, GeneratorConfig, TrainGeneratorConfig
from showcases.generator.data import Features, select_rows
from showcases.generator.examples import prepared_rows, training_texts
from showcases.generator.tokenizer import learn_tokenizer, load_tokenizer
from showcases.generator.train import SAMPLE, VALIDATION_BATCH
from showcases.storage.artifacts import Workspace
from showcases.training import Report, Stream, fit
from showcases.training.batches import in_memory
from showcases.training.parallel import distributed


def train_baseline(
    workspace: Workspace,
    config: TrainGeneratorConfig,
    name: Name,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str | torch.device = "cpu",
    examples: Stream | None = None,
    size: BaselineConfig | None = None,
) -> dict[str, float]:
    """Train a baseline on the training split of GEST-s2, on one worker or many.

    Args:
        workspace: with gest_s2 and both embeddings.
        config: of our generator, whose loop, tokenizer and limits it gets.
        name: which baseline.
        seed: of weights and order.
        report: called after each validation; its checkpoint folder holds the model in `model/`.
        resume_from: a checkpoint that an earlier call reported.
        device: torch device of this worker.
        examples: the training split as `prepared_rows` has it; none prepares it here, in memory.
        size: of the model; none takes `sized_like`'s.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better), ce, parameters, rows and more.

    Raises:
        ArtifactError, ConfigError, ModelError: what is missing or does not fit.
        LossError: the loss is not finite.
    """
    examples = examples or in_memory(prepared_rows(workspace, config, "text", seed), seed)
    splits = Splits.read(workspace)
    world = read_world(workspace, splits, config.model, KINDS[name])
    torch.manual_seed(seed)
    model = build_baseline(workspace, splits, world, config, size or sized_like(name, config.model)).to(device)
    val = BaselineData(splits.val.to_pylist(), world, model.tokenizer)
    if not examples.rows or not len(val):
        raise ConfigError("gest_s2 has no train or no val row with an explanation and an embedded photo")
    facts = {"train_rows": examples.rows, "val_rows": len(val), "vocabulary": len(model.tokenizer)}
    facts |= {"parameters": model.parameter_count}

    def loss(trained: nn.Module, table: pa.Table) -> tuple[Tensor, dict[str, float]]:
        data = BaselineData(table.to_pylist(), world, model.tokenizer)
        value, parts = trained(data.batch(range(len(data))).to(device))
        return value, {part: float(figure) for part, figure in parts.items()}

    def validate(bare: nn.Module) -> dict[str, float]:
        assert isinstance(bare, Baseline)
        return {MONITOR: nats_per_word(bare, val, device), **{fact: float(number) for fact, number in facts.items()}}

    def save(bare: nn.Module, folder: Path) -> None:
        assert isinstance(bare, Baseline)
        bare.save_pretrained(folder)

    return fit(
        distributed(model, device),
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


def nats_per_word(model: Baseline, data: BaselineData, device: str | torch.device = "cpu") -> float:
    """Cross entropy of a split's explanations in nats per word of theirs; smaller is better."""
    numbers = np.arange(len(data))
    chunks = (numbers[i : i + VALIDATION_BATCH] for i in range(0, len(data), VALIDATION_BATCH))
    return sum(float(model.nats(data.batch(chunk).to(device))) for chunk in chunks) / max(data.words, 1)


@dataclass(frozen=True)
class Splits:
    """Rows of GEST-s2 that training needs, with COLUMNS."""

    train: pa.Table
    val: pa.Table

    @classmethod
    def read(cls, workspace: Workspace) -> "Splits":
        rows = workspace.read_table("gest_s2", COLUMNS)
        return cls(*(rows.filter(pc.field("split") == split) for split in ("train", "val")))


def read_world(workspace: Workspace, splits: Splits, limits: GeneratorConfig, kind: type[Baseline]) -> World:
    """What the examples point to; of businesses' reviews and ids only what this kind reads."""
    item_reviews = ItemReviews.of(splits.train if "item_reviews" in kind.reads else splits.train.slice(0, 0))
    ids = Ids.of(splits.train) if "ids" in kind.reads else Ids()
    features = Features.read(workspace, ("train", "val"), also=item_reviews.review_ids)
    return World(features, ids, item_reviews, limits)


def build_baseline(
    workspace: Workspace, splits: Splits, world: World, config: TrainGeneratorConfig, size: BaselineConfig
) -> Baseline:
    """New weights, and the tokenizer that our generator would have."""
    source = config.model.pretrained
    if source is None:
        tokenizer = learn_tokenizer(training_texts(workspace), config.model.vocab_size)
    else:
        tokenizer = load_tokenizer(source)
    images, reviews = world.features.images, world.features.review_vectors
    model = KINDS[size.name](size, tokenizer, images.vectors.shape[1], reviews.shape[1], images.model_id, world.ids)
    sample = select_rows(splits.train.slice(0, SAMPLE).to_pylist(), world.features, world.limits)
    if len(sample):
        photos, history = np.unique(np.concatenate(sample.photos)), np.unique(np.concatenate(sample.history))
        model.standardise(
            torch.from_numpy(images.vectors[photos].astype(np.float32)), torch.from_numpy(reviews[history])
        )
    return model
