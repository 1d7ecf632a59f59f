"""Training of the selector by the likelihood of the photos that users posted (paper sections 4.1, 5.1)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from showcases.artifacts import Workspace
from showcases.errors import ConfigError
from showcases.evaluation.ranking import rank_split, selector_ranker
from showcases.selector.config import Profile, TrainSelectorConfig
from showcases.selector.data import SelectorData, read_splits
from showcases.selector.likelihood import log_likelihood
from showcases.selector.model import Selector
from showcases.training import Report, fit


def train_selector_variant(
    workspace: Workspace,
    config: TrainSelectorConfig,
    variant: Profile,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str = "cpu",
) -> dict[str, float]:
    """Train one variant, on this process or on this rank of an initialised process group.

    Args:
        workspace: holds gest_s1, photos, image_embeddings, sentence_embeddings.
        variant: user profile.
        seed: of the initial weights and the order of examples.
        report: called after each validation with train_loss, val_loss, val_precision@k, val_recall@k, val_f1@k,
            val_div@k, and a checkpoint whose `model` folder is a selector.
        resume_from: a checkpoint that an earlier call reported.

    Returns:
        The metrics of the kept weights.

    Raises:
        ConfigError: a split is empty.
        ShowcasesError: the loss is not finite.
    """
    splits = read_splits(workspace, ("train", "val"))
    return fit_selector(splits["train"], splits["val"], config, variant, seed, report, resume_from, device)[1]


def fit_selector(
    train: SelectorData,
    validation: SelectorData,
    config: TrainSelectorConfig,
    variant: Profile,
    seed: int,
    report: Report,
    resume_from: Path | None = None,
    device: str = "cpu",
) -> tuple[Selector, dict[str, float]]:
    """`train_selector_variant` on data at hand; returns the model, too."""
    for name, data in (("train", train), ("val", validation)):
        if not len(data):
            raise ConfigError(f"gest_s1 has no {name} examples with an embedded photo; is the corpus large enough?")
    torch.manual_seed(seed)
    images = train.pool.images
    model = Selector(config.model, variant, images.dim, train.text.shape[1], images.model_id).to(device)

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        return negative_log_likelihood(model, train, numbers, variant, device), {}

    def validate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Selector)
        return validation_figures(model, validation, config.k, device)

    metrics = fit(
        _distributed(model),
        loss,
        validate,
        lambda bare, folder: bare.save_pretrained(folder),  # type: ignore[operator]
        len(train),
        replace(config.loop, seed=seed),
        report,
        monitor=f"val_f1@{config.k}",
        larger_is_better=True,
        resume_from=resume_from,
    )
    return model, metrics


def negative_log_likelihood(
    model: nn.Module, data: SelectorData, numbers: np.ndarray, variant: Profile, device: str
) -> Tensor:
    """Mean of -log P(Y) over the examples of these numbers, in nats."""
    batch = data.batch(numbers, variant).to(device)
    kernel = model(batch.profiles, batch.photos, batch.mask, batch.candidates)
    return -log_likelihood(kernel, batch.chosen, batch.mask).mean()


def validation_figures(model: Selector, data: SelectorData, k: int, device: str = "cpu") -> dict[str, float]:
    """Loss and Table 3's columns on a split, named val_*."""
    size = 256
    parts = [np.arange(start, min(start + size, len(data))) for start in range(0, len(data), size)]
    losses = [float(negative_log_likelihood(model, data, part, model.profile, device)) * len(part) for part in parts]
    figures, _ = rank_split(data, selector_ranker(model), k, profile=model.profile, batch_size=size, device=device)
    named = {"precision": figures.precision, "recall": figures.recall, "f1": figures.f1, "div": figures.diversity}
    ranked = {f"val_{name}@{k}": float(value) for name, value in named.items() if value is not None}
    return {"val_loss": sum(losses) / len(data), **ranked}


def _distributed(model: nn.Module) -> nn.Module:
    if dist.is_initialized() and dist.get_world_size() > 1:
        return DistributedDataParallel(model)
    return model
