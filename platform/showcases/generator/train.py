"""Train one variant of the generator, from a workspace to a model folder; shared parts of all text models."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from showcases.errors import ConfigError
from showcases.generator.card import losses_in_words
from showcases.generator.config import MONITOR, GeneratorConfig, Inputs, TrainGeneratorConfig
from showcases.generator.data import COLUMNS, Features, GeneratorData, select_rows
from showcases.generator.decoder import starting_decoder
from showcases.generator.examples import HARD, prepared_rows, training_texts
from showcases.generator.model import Generator
from showcases.generator.objective import Objective
from showcases.model_card import Training
from showcases.storage.artifacts import Workspace
from showcases.training import Session, Stream, Task, TrainingJob, fit
from showcases.training.batches import in_memory

VALIDATION_BATCH = 64  # examples
SAMPLE = 10_000  # rows for the mean and scale of the features


def train_generator(job: TrainingJob[TrainGeneratorConfig, Inputs], session: Session) -> dict[str, float]:
    """Train a generator on the training split of GEST-s2, on one worker or many.

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better), ce, image_loss, text_loss, rows and more.

    Raises:
        ArtifactError, ConfigError, ModelError: an input is missing or incompatible.
        LossError: the loss is not finite.
    """
    workspace, config, variant = job.workspace, job.config, job.variant
    features = Features.read(workspace, ("train", "val"))
    examples = session.examples or in_memory(
        prepared_rows(workspace, config, variant, job.seed), job.seed, job.loop.run
    )
    val_rows = select_rows(_rows(workspace, "val"), features, config.model)
    require_examples(examples.rows, len(val_rows), val_rows.left_out)
    torch.manual_seed(job.seed)

    def build(finetuned: Path | None) -> Generator:
        return build_generator(workspace, features, config, variant, finetuned)

    generator = build(None) if job.finetuned is None else workspace.load(build, *job.finetuned)
    objective = Objective(generator, config.contrastive).to(session.device)
    tokenizer = generator.tokenizer
    val = GeneratorData(val_rows, tokenizer, config.model.max_tokens)
    data = f"{examples.rows:,} training and {len(val):,} validation examples of a corpus in the form of GEST-s2"

    def batch(table: pa.Table) -> Any:
        rows = select_rows(table.to_pylist(), features, config.model)
        hard = table[HARD].to_pylist() if objective.contrastive.needs_hard else None
        return GeneratorData(rows, tokenizer, config.model.max_tokens, hard).batch(range(len(rows)))

    def save(_: nn.Module, folder: Path) -> None:
        generator.save_pretrained(folder, Training(data, losses_in_words(config.contrastive, variant)))

    facts = {"vocabulary": len(tokenizer), "parameters": sum(each.numel() for each in generator.parameters())}
    return fit(text_task(objective, batch, val, examples, save, session.device, facts), job.loop, session)


class Split(Protocol):
    """Tokenised examples."""

    @property
    def words(self) -> Sequence[int]:
        """Number of words of each example's text."""

    def __len__(self) -> int: ...

    def batch(self, numbers: Sequence[int]) -> Any:
        """A batch of the examples with these indices; has `to(device)`."""


def text_task(
    model: nn.Module,
    batch: Callable[[Any], Any],
    val: Split,
    examples: int | Stream,
    save: Callable[[nn.Module, Path], None],
    device: str,
    facts: Mapping[str, int],
) -> Task:
    """The training task of a text model: ours, a baseline, or a language model.

    Args:
        model: maps a batch to (loss, detached partial losses); its method `nats` maps a batch to the sum over targets.
        batch: collates rows or indices of training examples.
        facts: about model and data, reported with the metrics.
    """
    train_rows = examples.rows if isinstance(examples, Stream) else examples
    figures = {"train_rows": train_rows, "val_rows": len(val), **facts}

    def loss(trained: nn.Module, part: Any) -> tuple[Tensor, dict[str, float]]:
        value, parts = trained(batch(part).to(device))
        return value, {name: float(figure) for name, figure in parts.items()}

    def validate(_: nn.Module) -> dict[str, float]:
        return {MONITOR: nats_per_word(model, val, device), **{name: float(value) for name, value in figures.items()}}

    return Task(model, loss, validate, save, examples, MONITOR)


@torch.no_grad()
def nats_per_word(model: Any, data: Split, device: str = "cpu") -> float:
    """Cross entropy of a split's texts in nats per word: comparable across tokenizers, smaller is better."""
    chunks = (range(n, min(n + VALIDATION_BATCH, len(data))) for n in range(0, len(data), VALIDATION_BATCH))
    return sum(float(model.nats(data.batch(chunk).to(device))) for chunk in chunks) / max(sum(data.words), 1)


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
    widths = features.images.vectors.shape[1], features.review_vectors.shape[1]
    generator = Generator(config.model, tokenizer, *widths, variant, features.images.model_id, decoder)
    standardise(generator.encoder, _rows(workspace, "train", SAMPLE), features, config.model)
    return generator


def standardise(model: Any, rows: Iterable[Mapping[str, Any]], features: Features, limits: GeneratorConfig) -> None:
    """Set mean and scale of a model's inputs (its method `standardise`) from a sample of rows of GEST-s2."""
    sample = select_rows(rows, features, limits)
    if len(sample):
        photos, history = np.unique(np.concatenate(sample.photos)), np.unique(np.concatenate(sample.history))
        images = torch.from_numpy(features.images.vectors[photos].astype(np.float32))
        model.standardise(images, torch.from_numpy(features.review_vectors[history]))


def _rows(workspace: Workspace, split: str, most: int | None = None) -> list[dict[str, Any]]:
    table = workspace.read_table("gest_s2", COLUMNS).filter(pc.field("split") == split)
    return table.slice(0, most).to_pylist()  # type: ignore[no-any-return]


def require_examples(train: int, val: int, left_out: Mapping[str, int]) -> None:
    """
    Raises:
        ConfigError: a split is empty.
    """
    for split, count in (("train", train), ("val", val)):
        if not count:
            raise ConfigError(
                f"gest_s2 has no {split} row with an explanation and an embedded photo (left out: {left_out}); "
                "the corpus is too small, or the classifier's threshold too high (build_gest.threshold)"
            )
