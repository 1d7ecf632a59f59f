"""Training of the selector by the likelihood of the photos that users posted (paper sections 4.1, 5.1)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from showcases.errors import ConfigError
from showcases.model_card import Training
from showcases.selector.card import LOSS
from showcases.selector.config import MONITOR, Profile, TrainSelectorConfig
from showcases.selector.data import SelectorBatch, SelectorData, World
from showcases.selector.likelihood import JITTER, set_log_likelihood
from showcases.selector.model import Selector
from showcases.selector.profiles import join_profile
from showcases.selector.rankers import rank_split, selector_ranker
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, with_photo
from showcases.training import Chance, Session, Stream, Task, TrainingJob, fit
from showcases.training.batches import in_memory
from showcases.training.chance import STANDARD_ERRORS

SAMPLE = 10_000  # examples for the initialisation


def train_selector(job: TrainingJob[TrainSelectorConfig, Profile], session: Session) -> dict[str, float]:
    """Train one variant on GEST-s1, on this process or on this rank of an initialised process group.

    Reports train_loss, val_loss, val_precision@k, val_recall@k, val_f1@k, val_div@k; `model/` in a checkpoint is a
    selector.

    Returns:
        The metrics of the best weights.

    Raises:
        ConfigError: a split is empty.
        LossError: the loss is not finite.
    """
    world = World.read(job.workspace, ("train", "val"))
    rows = job.workspace.read_table("gest_s1")
    validation = world.select(rows.filter(pc.field("split") == "val").to_pylist())
    start = world.select(rows.filter(pc.field("split") == "train").slice(0, SAMPLE).to_pylist())
    examples = session.examples or in_memory(prepared_rows(job.workspace), job.seed, job.loop.run)

    def batch(table: pa.Table) -> SelectorBatch:
        return world.select(table.to_pylist()).batch(np.arange(len(table)), job.variant)

    _, task = _task(start, validation, examples, batch, job.config, job.variant, job.seed, session.device)
    return fit(task, job.loop, session)


def prepared_rows(workspace: Workspace) -> pa.Table:
    """The trainable rows of GEST-s1's training split, of schema GEST_S1: those with an embedded photo."""
    rows = workspace.read_table("gest_s1").filter(pc.field("split") == "train")
    return with_photo(rows, EmbeddingShards(workspace, "image_embeddings").all_ids())


def fit_selector(
    train: SelectorData,
    validation: SelectorData,
    config: TrainSelectorConfig,
    variant: Profile,
    seed: int,
    session: Session,
) -> tuple[Selector, dict[str, float]]:
    """`train_selector` on in-memory data; also returns the model."""

    def batch(numbers: np.ndarray) -> SelectorBatch:
        return train.batch(numbers, variant)

    selector, task = _task(train, validation, len(train), batch, config, variant, seed, session.device)
    task = replace(task, names=train.review_ids, groups=train.business)
    return selector, fit(task, replace(config.loop, seed=seed), session)


def _task(
    start: SelectorData,
    validation: SelectorData,
    examples: int | Stream,
    batch: Callable[[Any], SelectorBatch],
    config: TrainSelectorConfig,
    variant: Profile,
    seed: int,
    device: str,
) -> tuple[Selector, Task]:
    """A new model, initialised from the profiles and photos in `start`, and its training task."""
    count = examples.rows if isinstance(examples, Stream) else examples
    for name, size in (("train", count), ("val", len(validation))):
        if not size:
            raise ConfigError(f"gest_s1 has no {name} examples with an embedded photo; is the corpus large enough?")
    torch.manual_seed(seed)
    images = start.pool.images
    selector = Selector(config.model, variant, images.dim, start.text.shape[1], images.model_id)
    selector.start_from_similarity(*_sample(start, variant))
    model = SetLikelihood(selector).to(device)
    data = f"{count:,} training and {len(validation):,} validation examples of a corpus in the form of GEST-s1"

    def loss(model: nn.Module, part: Any) -> tuple[Tensor, dict[str, float]]:
        return -model(batch(part).to(device)).mean(), {}

    return selector, Task(
        model,
        loss,
        validate=lambda _: validation_figures(model, validation, config.k, device),
        save=lambda _, folder: selector.save_pretrained(folder, Training(data, LOSS)),
        examples=examples,
        monitor=MONITOR,
        chances=chances(validation, config.k),
    )


def chances(data: SelectorData, k: int) -> list[Chance]:
    """Recall@k of k photos drawn at random from each business; empty if no business has more than k.

    The number of hits follows a hypergeometric distribution.
    """
    posted = np.diff(data.target_starts)  # (n,) of each example
    sizes = data.pool.sizes[data.business]  # (n,) candidates
    drawn = np.minimum(k, sizes)
    share = posted / sizes
    variance = drawn * share * (1 - share) * (sizes - drawn) / np.maximum(sizes - 1, 1) / posted**2  # of recall
    recall, error = float((drawn / sizes).mean()), float(np.sqrt(variance.sum())) / len(sizes)
    if recall + STANDARD_ERRORS * error >= 1:
        return []
    return [Chance(f"val_recall@{k}", recall, STANDARD_ERRORS * error, larger_is_better=True)]


def _sample(data: SelectorData, variant: Profile, most: int = SAMPLE) -> tuple[Tensor, Tensor]:
    """Profiles (m, P) and posted photos (n, Di) of a split: all, or a sample of `most` each."""
    examples = torch.randperm(len(data))[:most].numpy()
    photos = data.posted_photos(torch.randperm(len(data.targets))[:most].numpy())
    profiles = join_profile(data.text[examples], data.photos[examples], variant)
    return torch.from_numpy(profiles), torch.from_numpy(photos)


class SetLikelihood(nn.Module):
    """Log-likelihood of the posted photos: the whole batch through the towers, its kernels by size.

    Restaurants' numbers of photos differ tenfold, and their kernels a hundredfold: kernels of similar size share a
    chunk, padded to the largest of the chunk instead of the batch.

    Args:
        selector: the model that is trained.
        chunk: number of examples whose kernels are padded together.
    """

    def __init__(self, selector: Selector, chunk: int = 32) -> None:
        super().__init__()
        self.selector, self.chunk = selector, chunk

    def forward(self, batch: SelectorBatch) -> Tensor:
        """(B,) in nats, at most 0; in the order of the batch."""
        relevance = self.selector.relevance(batch.profiles, batch.photos, batch.candidates)  # (B, N)
        with torch.autocast(relevance.device.type, enabled=False):  # determinants need full float32
            return self._likelihoods(relevance.float(), batch)

    def _likelihoods(self, relevance: Tensor, batch: SelectorBatch) -> Tensor:
        order = batch.mask.sum(1).argsort()
        parts = []
        for rows in order.split(self.chunk):
            width = int(batch.mask[rows].any(0).nonzero().max()) + 1
            mask, chosen = batch.mask[rows, :width], batch.chosen[rows, :width]
            images = batch.photos[batch.candidates[rows, :width]]
            kernel = self.selector.kernel(relevance[rows, :width], images, mask)
            parts.append(set_log_likelihood(kernel, chosen, mask, JITTER))
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
