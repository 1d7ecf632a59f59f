"""Train one baseline, from a workspace to a model folder: like our generator, except for the model.

The same examples in the same order, tokenizer, loop and budget; the same metric selects the best weights.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from showcases.baselines.base import Baseline
from showcases.baselines.config import BaselineConfig, Name, sized_like
from showcases.baselines.data import COLUMNS, BaselineBatch, BaselineData, World
from showcases.baselines.ids import Ids, ItemReviews
from showcases.baselines.kinds import KINDS
from showcases.generator.config import GeneratorConfig, TrainGeneratorConfig
from showcases.generator.data import Features
from showcases.generator.examples import prepared_rows, training_texts
from showcases.generator.tokenizer import learn_tokenizer, load_tokenizer
from showcases.generator.train import SAMPLE, require_examples, standardise, text_task
from showcases.storage.artifacts import Workspace
from showcases.training import Session, TrainingJob, fit
from showcases.training.batches import in_memory


def train_baseline(
    job: TrainingJob[TrainGeneratorConfig, Name], session: Session, size: BaselineConfig | None = None
) -> dict[str, float]:
    """Train a baseline on the training split of GEST-s2, on one worker or many.

    Args:
        job: with the config of our generator, whose loop, tokenizer and limits the baseline gets.
        session: of this process.
        size: of the model; None uses `sized_like`.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better), ce, parameters, rows and more.

    Raises:
        ArtifactError, ConfigError, ModelError: an input is missing or incompatible.
        LossError: the loss is not finite.
    """
    workspace, config, name = job.workspace, job.config, job.variant
    examples = session.examples
    if examples is None:
        examples = in_memory(prepared_rows(workspace, config, "text", job.seed), job.seed, job.loop.run)
    splits = Splits.read(workspace)
    world = read_world(workspace, splits, config.model, KINDS[name])
    torch.manual_seed(job.seed)
    model = build_baseline(workspace, splits, world, config, size or sized_like(name, config.model)).to(session.device)
    val = BaselineData(splits.val.to_pylist(), world, model.tokenizer)
    require_examples(examples.rows, len(val), {})

    def batch(table: pa.Table) -> BaselineBatch:
        data = BaselineData(table.to_pylist(), world, model.tokenizer)
        return data.batch(range(len(data)))

    def save(_: nn.Module, folder: Path) -> None:
        model.save_pretrained(folder)

    facts = {"vocabulary": len(model.tokenizer), "parameters": model.parameter_count}
    return fit(text_task(model, batch, val, examples, save, session.device, facts), job.loop, session)


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
    """Read the data that the examples reference; businesses' reviews and ids only if this kind uses them."""
    item_reviews = ItemReviews.of(splits.train if "item_reviews" in kind.reads else splits.train.slice(0, 0))
    ids = Ids.of(splits.train) if "ids" in kind.reads else Ids()
    features = Features.read(workspace, ("train", "val"), also=item_reviews.review_ids)
    return World(features, ids, item_reviews, limits)


def build_baseline(
    workspace: Workspace, splits: Splits, world: World, config: TrainGeneratorConfig, size: BaselineConfig
) -> Baseline:
    """A new model, with the same tokenizer as our generator."""
    source = config.model.pretrained
    if source is None:
        tokenizer = learn_tokenizer(training_texts(workspace), config.model.vocab_size)
    else:
        tokenizer = load_tokenizer(source)
    images, reviews = world.features.images, world.features.review_vectors
    model = KINDS[size.name](size, tokenizer, images.vectors.shape[1], reviews.shape[1], images.model_id, world.ids)
    standardise(model, splits.train.slice(0, SAMPLE).to_pylist(), world.features, world.limits)
    return model
