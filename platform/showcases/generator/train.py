"""Training of one variant of the generator, from a workspace to a model folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from showcases.artifacts import Workspace
from showcases.errors import ConfigError
from showcases.generator.card import losses_in_words
from showcases.generator.config import MONITOR, Inputs, TrainGeneratorConfig
from showcases.generator.data import GeneratorData, GestRows, read_rows
from showcases.generator.entities import replace_entities
from showcases.generator.lexicon import make_finder
from showcases.generator.model import Generator
from showcases.generator.objective import Objective, nats_per_word
from showcases.generator.tokenizer import learn_tokenizer, load_tokenizer
from showcases.model_card import Training
from showcases.training import Report, fit

VALIDATION_BATCH = 64  # examples


def train_generator_variant(
    workspace: Workspace,
    config: TrainGeneratorConfig,
    variant: Inputs,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str | torch.device = "cpu",
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

    Returns:
        Metrics of the best weights: val_nats_per_word (smaller is better), ce, image_loss, text_loss, rows and more.

    Raises:
        ArtifactError, ConfigError, ModelError: what is missing or does not fit.
        LossError: the loss is not finite.
    """
    rows = read_rows(workspace, ("train", "val"), config.model)
    _require_rows(rows)
    torch.manual_seed(seed)
    objective = Objective(build_generator(rows["train"], config, variant), config.contrastive).to(device)
    tokenizer = objective.generator.tokenizer
    hard = None
    if objective.contrastive.needs_hard:
        hard = replace_entities(rows["train"].texts, make_finder(config.spacy_model, rows["train"].texts), seed)
    train = GeneratorData(rows["train"], tokenizer, config.model.max_tokens, hard)
    val = GeneratorData(rows["val"], tokenizer, config.model.max_tokens)
    facts = {
        "train_rows": len(train),
        "val_rows": len(val),
        "left_out": sum(sum(part.left_out.values()) for part in rows.values()),
        "hard_negatives": sum(ids is not None for ids in train.hard),
        "vocabulary": len(tokenizer),
    }
    data = f"{len(train):,} training and {len(val):,} validation examples of a corpus in the form of GEST-s2"
    told = Training(data, losses_in_words(config.contrastive, variant))

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        value, parts = model(train.batch(numbers).to(device))
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
        len(train),
        replace(config.loop, seed=seed),
        report,
        monitor=MONITOR,
        larger_is_better=False,
        resume_from=resume_from,
        names=rows["train"].review_ids,
    )


def build_generator(rows: GestRows, config: TrainGeneratorConfig, variant: Inputs) -> Generator:
    """A generator with pretrained or new weights and its tokenizer, for features as wide as the rows'."""
    source = config.model.pretrained
    tokenizer = load_tokenizer(source) if source else learn_tokenizer(rows.texts, config.model.vocab_size)
    image_dim, text_dim = rows.image_vectors.shape[1], rows.review_vectors.shape[1]
    generator = Generator(config.model, tokenizer, image_dim, text_dim, variant, rows.embedding_space)
    photos = np.unique(np.concatenate(rows.photos))
    history = np.unique(np.concatenate(rows.history))
    generator.encoder.standardise(
        torch.from_numpy(rows.image_vectors[photos].astype(np.float32)), torch.from_numpy(rows.review_vectors[history])
    )
    return generator


def distributed(model: nn.Module, device: str | torch.device) -> nn.Module:
    """The model, wrapped in DistributedDataParallel where several workers train together."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=None if torch.device(device).type == "cpu" else [device])


def _require_rows(rows: dict[str, GestRows]) -> None:
    for split, part in rows.items():
        if not len(part):
            raise ConfigError(
                f"gest_s2 has no {split} row with an explanation and an embedded photo (left out: {part.left_out}); "
                "the corpus is too small, or the classifier's threshold too high (build_gest.threshold)"
            )
