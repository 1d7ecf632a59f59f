"""Options of the encoder: which CLIP, how it is trained without pretrained weights, how it embeds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from showcases.errors import ConfigError
from showcases.training import LoopConfig

Dtype = Literal["float32", "bfloat16"]
CHANCE_CAUSES = (  # why a CLIP may be no better than chance, most likely first
    "photos that belong to other reviews (--photos, photo ids); image_mean, image_std or backbone_kwargs that are not "
    "those of train_clip.backbone_weights; train_clip.loop.lr too high or too low; too few epochs or pairs"
)
CONFIG_FILE = "open_clip_config.json"  # in a model folder: open_clip's format, with an additional key for the backbone


@dataclass(frozen=True)
class ClipConfig:
    """Which CLIP encodes photos and sentences.

    Args:
        model: name of an open_clip architecture, e.g. ViT-B-32 (the paper's), or `small`, which train_clip trains.
        pretrained: open_clip's tag or a local file of weights, e.g. openai; None trains `small` on the corpus.
    """

    model: str = "small"
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if self.pretrained is None and self.model != "small":
            raise ConfigError(
                f"clip.model={self.model} needs clip.pretrained, a tag of open_clip or a file of weights; only `small` "
                "is trained on the corpus"
            )


@dataclass(frozen=True)
class TrainClipConfig:
    """The small CLIP, for use without pretrained weights.

    Args:
        image_size: px, both sides.
        embed_dim: of the shared space.
        width: channels of the first stage of open_clip's ResNet.
        context_length: maximum tokens of a text; longer ones are truncated.
        text_width: of the text transformer.
        text_layers: of the text transformer.
        backbone: timm architecture of the image tower; None uses open_clip's ResNet of `width`.
        backbone_kwargs: more arguments for timm.create_model, e.g. {pad_type: same}.
        backbone_weights: safetensors file of the backbone's weights, or its folder; None starts from scratch.
        freeze_backbone: freeze those weights. The backbone's features of each photo are then computed once, before the
            first epoch, without augmentation.
        image_mean: of the pixels that the image tower expects, 0 to 1.
        image_std: of the pixels that the image tower expects, 0 to 1.
        loop: training.
    """

    image_size: int = 64
    embed_dim: int = 128
    width: int = 32
    context_length: int = 48
    text_width: int = 128
    text_layers: int = 2
    backbone: str | None = "test_resnet"  # timm's smallest ResNet, 0.4M parameters
    backbone_kwargs: dict[str, str] = field(default_factory=dict)
    backbone_weights: str | None = None
    freeze_backbone: bool = False
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=9, batch_size=64, lr=2e-3, optimizer="adamw", schedule="cosine", warmup_steps=50
        )
    )


@dataclass(frozen=True)
class EmbedConfig:
    """How photos and sentences are embedded.

    Args:
        batch_size: photos or sentences per forward pass.
        dtype: auto uses bfloat16 if the GPU, or the CPU by AVX512_BF16 or AMX, supports it natively, else float32.
        photos_per_unit: photos decoded, encoded and written together, and repeated after an interruption. Fewer if
            their pixels exceed 64 MiB.
        sentences_per_unit: likewise for sentences; a review is never split.
    """

    batch_size: int = 128
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    photos_per_unit: int = 256
    sentences_per_unit: int = 2000


def image_size(folder: Path) -> int:
    """Side in px that a `clip` artifact's photos are decoded to."""
    size = json.loads((folder / CONFIG_FILE).read_text())["preprocess_cfg"]["size"]
    return int(size if isinstance(size, int) else size[0])
