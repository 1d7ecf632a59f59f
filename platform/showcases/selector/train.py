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
from showcases.selector.data import SelectorBatch, SelectorData, read_splits
from showcases.selector.likelihood import log_likelihood
from showcases.selector.model import Selector
from showcases.selector.profiles import join_profile
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
        LossError: the loss is not finite.
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
    selector = Selector(config.model, variant, images.dim, train.text.shape[1], images.model_id)
    selector.start_from_likeness(*_sample(train, variant))
    model = SetLikelihood(selector).to(device)

    def loss(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        return -model(train.batch(numbers, variant).to(device)).mean(), {}

    def validate(_: nn.Module) -> dict[str, float]:
        return validation_figures(model, validation, config.k, device)

    metrics = fit(
        _distributed(model),
        loss,
        validate,
        lambda _, folder: selector.save_pretrained(folder),
        len(train),
        replace(config.loop, seed=seed),
        report,
        monitor=f"val_f1@{config.k}",
        larger_is_better=True,
        resume_from=resume_from,
        names=train.review_ids,
        groups=train.business,
    )
    return selector, metrics


def _sample(data: SelectorData, variant: Profile, most: int = 10_000) -> tuple[Tensor, Tensor]:
    """Profiles (m, P) and posted photos (n, Di) of a split: all, or a sample of `most` each."""
    examples = torch.randperm(len(data))[:most].numpy()
    photos = data.posted_photos(torch.randperm(len(data.targets))[:most].numpy())
    profiles = join_profile(data.text[examples], data.photos[examples], variant)
    return torch.from_numpy(profiles), torch.from_numpy(photos)


class SetLikelihood(nn.Module):
    """Log-likelihood of the posted photos: the whole batch through the towers, its kernels by size.

    Restaurants differ tenfold in photos, kernels then a hundredfold: kernels of like size share a chunk, padded to
    the largest of the chunk and not of the batch.

    Args:
        selector: the model that is trained.
        chunk: examples whose kernels are padded together.
    """

    def __init__(self, selector: Selector, chunk: int = 32) -> None:
        super().__init__()
        self.selector, self.chunk = selector, chunk

    def forward(self, batch: SelectorBatch) -> Tensor:
        """(B,) in nats, at most 0; in the order of the batch."""
        relevance = self.selector.relevance(batch.profiles, batch.photos, batch.candidates)  # (B, N)
        with torch.autocast(relevance.device.type, enabled=False):  # determinants want all of float32
            return self._likelihoods(relevance.float(), batch)

    def _likelihoods(self, relevance: Tensor, batch: SelectorBatch) -> Tensor:
        order = batch.mask.sum(1).argsort()
        parts = []
        for rows in order.split(self.chunk):
            width = int(batch.mask[rows].any(0).nonzero().max()) + 1
            mask, chosen = batch.mask[rows, :width], batch.chosen[rows, :width]
            images = batch.photos[batch.candidates[rows, :width]]
            kernel = self.selector.kernel(relevance[rows, :width], images, mask)
            parts.append(log_likelihood(kernel, chosen, mask))
        return torch.cat(parts)[order.argsort()]


def validation_figures(model: SetLikelihood, data: SelectorData, k: int, device: str = "cpu") -> dict[str, float]:
    """Mean loss and Table 3's columns on a split, named val_*."""
    profile = model.selector.profile
    parts = [np.arange(start, min(start + 256, len(data))) for start in range(0, len(data), 256)]
    total = sum(float(-model(data.batch(part, profile).to(device)).sum()) for part in parts)
    figures, _ = rank_split(data, selector_ranker(model.selector), k, profile=profile, device=device)
    named = {"precision": figures.precision, "recall": figures.recall, "f1": figures.f1, "div": figures.diversity}
    ranked = {f"val_{name}@{k}": float(value) for name, value in named.items() if value is not None}
    return {"val_loss": total / len(data), **ranked}


def _distributed(model: nn.Module) -> nn.Module:
    if dist.is_initialized() and dist.get_world_size() > 1:
        return DistributedDataParallel(model)
    return model
