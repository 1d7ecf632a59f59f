"""Train the small CLIP on the corpus' (photo, sentence) pairs, with open_clip's model, loss and tokenizer."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from showcases.clip import model as clip_model
from showcases.clip.config import TrainClipConfig
from showcases.errors import ConfigError
from showcases.photos import PhotoError, to_pixels
from showcases.storage.artifacts import Workspace
from showcases.training import Chance, Session, Task, TrainingJob, fit
from showcases.training.chance import STANDARD_ERRORS
from showcases.training.gather import gather_rows

MAX_LOGIT_SCALE = 4.6052  # ln 100, as in CLIP
TOP = 0.1  # fraction of a batch for recall in validation
LEARNED = 0.02  # required decrease of the training loss below ln(batch), relative: above batch noise
CACHE_BATCH = 64  # photos per forward pass of the frozen backbone and rank


class ClipPairs:
    """Photos of one split with the sentences of their reviews.

    Which sentence describes the photo is not known yet, so a photo's text is a random subset of its review's sentences,
    drawn each time: a single one often describes another photo, or none.

    Attributes:
        pixels: (n, size, size, 3) uint8; empty once `cache_features` was called.
        features: (n, width) of each photo, from a frozen backbone; None until `cache_features` was called.
        sentences: tokens of each sentence of each photo's review.
        context: length of a text, in tokens.
    """

    def __init__(self, workspace: Workspace, split: str, size: int, context: int) -> None:
        reviews = workspace.read_table("reviews", ["review_id", "sentences", "split"]).to_pylist()
        said = {row["review_id"]: row["sentences"] for row in reviews if row["split"] == split and row["sentences"]}
        owner = {row["photo_id"]: row["review_id"] for row in workspace.read_table("photos").to_pylist()}
        stored, same_as = _stored_photos(workspace)
        pixels, owners = [], []
        for name, review in owner.items():  # in this table's order, independent of the shards'
            data = stored.get(same_as.get(name, name))
            if data is None or review not in said:
                continue
            try:
                pixels.append(to_pixels(data, size))
            except PhotoError:
                continue  # counted by fetch_images
            owners.append(review)
        if not pixels:
            raise ConfigError(f"no photo of the {split} split has a sentence: nothing to train CLIP on")
        tokenizer = clip_model.simple_tokenizer(context)
        tokens = {review: [tokenizer.encode(sentence) for sentence in said[review]] for review in set(owners)}
        self.pixels = np.stack(pixels)
        self.features: Tensor | None = None
        self.sentences = [tokens[review] for review in owners]
        self.context, self._start, self._end = context, tokenizer.sot_token_id, tokenizer.eot_token_id

    def __len__(self) -> int:
        return len(self.sentences)

    def photos(self, numbers: np.ndarray) -> Tensor:
        """(b, 3, size, size), 0 to 1."""
        return torch.from_numpy(self.pixels[numbers]).permute(0, 3, 1, 2).float() / 255

    def draw(self, numbers: np.ndarray, generator: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        """Photos (b, 3, size, size), 0 to 1, or their cached features (b, width); and tokens (b, context).

        With a generator, texts are drawn at random, and photos are augmented unless their features are cached; without
        one, the text is the whole review.
        """
        if self.features is not None:
            batch = self.features[torch.from_numpy(numbers)]
        else:
            batch = self.photos(numbers) if generator is None else _augment(self.photos(numbers), generator)
        texts = torch.zeros(len(numbers), self.context, dtype=torch.long)
        for row, number in enumerate(numbers):
            tokens = self._text(self.sentences[number], generator)
            texts[row, : len(tokens)] = torch.tensor(tokens)
        return batch, texts

    def cache_features(self, backbone: Callable[[Tensor], Tensor]) -> None:
        """Compute the features of all photos once; `draw` then returns those.

        Workers divide the photos and synchronise after each batch, which bounds the time that they wait for each other.

        Args:
            backbone: (b, 3, size, size), 0 to 1 -> (b, width), without gradient.
        """
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        parts = []
        for numbers in np.array_split(np.arange(len(self)), -(-len(self) // (CACHE_BATCH * world))):
            photos = self.photos(np.array_split(numbers, world)[rank])
            parts.append(gather_rows(backbone(photos))[0].cpu())
        self.features, self.pixels = torch.cat(parts), self.pixels[:0]

    def _text(self, sentences: list[list[int]], generator: np.random.Generator | None) -> list[int]:
        if generator is not None:
            some = generator.permutation(len(sentences))[: generator.integers(1, len(sentences) + 1)]
            sentences = [sentences[i] for i in some]
        body = [token for sentence in sentences for token in sentence][: self.context - 2]
        return [self._start, *body, self._end]


def _stored_photos(workspace: Workspace) -> tuple[dict[str, bytes], dict[str, str]]:
    """JPEG bytes by photo id; and the original's id by id of each exact duplicate."""
    images = workspace.read_table("images", ["photo_id", "bytes", "status", "same_as"])
    stored, same_as = {}, {}
    for name, data, status, holder in zip(*(column.to_pylist() for column in images.columns), strict=True):
        if status == "ok" and holder is not None:
            same_as[name] = holder
        elif status == "ok":
            stored[name] = data
    return stored, same_as


def train_clip(job: TrainingJob[TrainClipConfig, None], session: Session) -> dict[str, float]:
    """Train on the photos and sentences of the training split, validate on those of the validation split."""
    config, device = job.config, session.device
    torch.manual_seed(job.seed)
    model_config = clip_model.small_config(config)
    bare = clip_model.build(model_config)
    if config.backbone_weights:
        clip_model.load_backbone(bare, Path(config.backbone_weights))
    if config.freeze_backbone:
        bare.freeze_backbone()
    bare.to(device)
    context = model_config["model_cfg"]["text_cfg"]["context_length"]
    data = {split: ClipPairs(job.workspace, split, config.image_size, context) for split in ("train", "val")}
    if config.freeze_backbone:
        scale = _scaling(config, device)
        for pairs in data.values():
            pairs.cache_features(lambda photos: bare.backbone_features(scale(photos)))
    task = Task(
        bare,
        _loss(data["train"], config, device),
        validate=lambda model: _validate(model, data["val"], config, device),
        save=lambda model, folder: clip_model.save(model, model_config, folder),
        examples=len(data["train"]),
        drop_last=True,  # the loss needs equal shares of the batch
        chances=chances(config.loop.batch_size, len(data["train"]), len(data["val"])),
    )
    return fit(task, job.loop, session)


def chances(batch_size: int, train: int, val: int) -> list[Chance]:
    """Figures of a CLIP that can't discriminate between photos or texts.

    Args:
        batch_size: over all workers.
        train, val: pairs of the splits.
    """
    uniform = math.log(min(batch_size, train))  # nats: all texts of the batch are equally likely
    sizes = np.diff([*range(0, val, batch_size), val])  # of the validation batches
    expected = np.array([np.mean(np.arange(size) / size < TOP) for size in sizes])
    recall, error = float(sizes @ expected) / val, math.sqrt(float(sizes @ (expected * (1 - expected)))) / val
    found = [Chance("train_loss", uniform, LEARNED * uniform, larger_is_better=False)]
    if recall + STANDARD_ERRORS * error < 1:  # fewer pairs are inconclusive
        found.append(Chance("val_recall_top_tenth", recall, STANDARD_ERRORS * error, larger_is_better=True))
    return found


def _loss(data: ClipPairs, config: TrainClipConfig, device: str) -> Any:
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    loss = clip_model.contrastive_loss(rank, world)
    scale = _scaling(config, device)

    def step(model: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        generator = np.random.default_rng([int(torch.randint(2**31, ()).item()), rank])
        images, tokens = data.draw(numbers, generator)
        image, text, temperature = model(scale(images), tokens.to(device))
        return loss(image, text, temperature.clamp(max=np.exp(MAX_LOGIT_SCALE))), {}

    return step


def _validate(model: nn.Module, data: ClipPairs, config: TrainClipConfig, device: str) -> dict[str, float]:
    """Contrastive loss in batches of the training size, and the recall of a photo's text among the top 10%."""
    scale = _scaling(config, device)
    loss = clip_model.contrastive_loss()
    order = np.random.default_rng(0).permutation(len(data))
    losses, hits = [], []
    for start in range(0, len(order), config.loop.batch_size):
        images, tokens = data.draw(order[start : start + config.loop.batch_size], None)
        image, text, temperature = model(scale(images), tokens.to(device))
        losses.append(float(loss(image, text, temperature)) * len(image))
        hits.append((_ranks(image @ text.T) < TOP).float())
    return {"val_loss": sum(losses) / len(order), "val_recall_top_tenth": float(torch.cat(hits).mean())}


def _ranks(scores: Tensor) -> Tensor:
    """(b,) share of a batch's texts ranked above a photo's own, by scores (b, b); ties count half."""
    own = scores.diagonal()[:, None]
    tied = (scores == own).sum(1) - 1
    return ((scores > own).sum(1) + tied / 2) / len(scores)


def _scaling(config: TrainClipConfig, device: str) -> Callable[[Tensor], Tensor]:
    """Normalises photos for the image tower, on its device; features (b, width) are unchanged."""
    mean = torch.tensor(config.image_mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(config.image_std, device=device).view(1, 3, 1, 1)

    def scale(images: Tensor) -> Tensor:
        images = images.to(device)
        return images if images.ndim == 2 else (images - mean) / std

    return scale


def _augment(batch: Tensor, generator: np.random.Generator) -> Tensor:
    """Mirror half of the photos; shift each by up to an eighth of its side."""
    mirrored = torch.from_numpy(generator.random(len(batch)) < 0.5).view(-1, 1, 1, 1)
    batch = torch.where(mirrored, batch.flip(-1), batch)
    reach = batch.shape[-1] // 8
    padded = nn.functional.pad(batch, (reach,) * 4, mode="replicate")
    x, y = (int(v) for v in generator.integers(0, 2 * reach + 1, 2))
    return padded[..., y : y + batch.shape[-2], x : x + batch.shape[-1]]
