"""Build an open_clip model: a published architecture with its weights, or the small one that train_clip trains.

The only module that imports open_clip and timm.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from showcases.clip.config import CONFIG_FILE, ClipConfig, TrainClipConfig
from showcases.compat import import_torchvision
from showcases.errors import ConfigError, ModelError

import_torchvision()

import open_clip  # noqa: E402
import timm  # noqa: E402
from open_clip.loss import ClipLoss  # noqa: E402
from open_clip.model import CLIP  # noqa: E402

WEIGHTS_FILE = "open_clip_model.safetensors"


def small_config(config: TrainClipConfig) -> dict[str, Any]:
    """open_clip's model_cfg and preprocess_cfg of the small encoder; timm arguments that open_clip has no key for."""
    if config.backbone:
        vision: dict[str, Any] = {
            "timm_model_name": config.backbone,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": config.image_size,
        }
    else:
        vision = {"layers": [1, 1, 1, 1], "width": config.width, "head_width": 64, "image_size": config.image_size}
    text = {
        "context_length": config.context_length,
        "vocab_size": 49408,  # open_clip's tokenizer
        "width": config.text_width,
        "heads": max(1, config.text_width // 32),
        "layers": config.text_layers,
    }
    return {
        "model_cfg": {"embed_dim": config.embed_dim, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {
            "size": [config.image_size, config.image_size],
            "mean": list(config.image_mean),
            "std": list(config.image_std),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
        "backbone_kwargs": dict(config.backbone_kwargs) if config.backbone else {},
    }


class SmallClip(CLIP):
    """open_clip's CLIP, whose timm backbone can be frozen, independent of the training mode.

    Attributes:
        is_frozen: whether `freeze_backbone` was called.
    """

    is_frozen = False

    def freeze_backbone(self) -> None:
        """Freeze the backbone's weights and statistics: it stays in eval mode, also in train mode.

        Unlike open_clip's `lock_image_tower(freeze_bn_stats=True)`, this does not replace timm's BatchNormAct2d by a
        plain norm, which would lose its activation.

        Raises:
            ConfigError: the image tower has no timm backbone.
        """
        if not hasattr(self.visual, "trunk"):
            raise ConfigError("train_clip.freeze_backbone needs a timm backbone: name one in train_clip.backbone")
        self.is_frozen = True
        self.visual.trunk.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "SmallClip":
        super().train(mode)
        if self.is_frozen:
            self.visual.trunk.eval()
        return self

    @torch.no_grad()
    def backbone_features(self, images: Tensor) -> Tensor:
        """(b, width) of (b, 3, size, size): input of the trainable projection."""
        features: Tensor = self.visual.trunk(images)
        return features

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """(b, d) of photos (b, 3, size, size), or of their backbone features (b, width)."""
        features: Tensor = self.visual.head(image) if image.ndim == 2 else self.visual(image)
        return nn.functional.normalize(features, dim=-1) if normalize else features


def build(config: Mapping[str, Any]) -> SmallClip:
    """An untrained model with the config of `small_config`."""
    model = SmallClip(**config["model_cfg"])
    kwargs = config.get("backbone_kwargs") or {}
    if kwargs:  # open_clip does not pass these arguments to timm, so replace its trunk
        name = config["model_cfg"]["vision_cfg"]["timm_model_name"]
        trunk = timm.create_model(name, pretrained=False, **kwargs)
        trunk.reset_classifier(0, global_pool="avg")  # type: ignore[operator] # timm's modules have it
        model.visual.trunk = trunk
    return model


def load_backbone(model: CLIP, path: Path) -> None:
    """Load local timm weights into the image tower; only the classifier head may be unused.

    Raises:
        ConfigError: the image tower has no timm backbone.
        ModelError: the file is missing, or its weights are of another architecture.
    """
    if not hasattr(model.visual, "trunk"):
        raise ConfigError("train_clip.backbone_weights needs the name of their timm backbone in train_clip.backbone")
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise ModelError(
            f"{file}: no backbone weights found; give a safetensors file with --train_clip.backbone_weights"
        )
    trunk = model.visual.trunk
    weights = {name: value.float() if value.is_floating_point() else value for name, value in load_file(file).items()}
    head = {name for name in weights if name.startswith(("classifier.", "head.", "fc."))}
    try:
        result = trunk.load_state_dict({k: v for k, v in weights.items() if k not in head}, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{file}: does not fit {type(trunk).__name__}: {error}") from error
    missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise ModelError(
            f"{file}: not this backbone's weights; missing {missing[:3]}, unexpected {result.unexpected_keys[:3]}"
        )


def published(config: ClipConfig) -> tuple[nn.Module, dict[str, Any]]:
    """A model of open_clip's list with its pretrained weights, and its preprocess_cfg.

    Raises:
        ModelError: no such model or weights, or they are unavailable offline.
    """
    try:
        model = open_clip.create_model(config.model, pretrained=config.pretrained)
    except (RuntimeError, OSError, KeyError) as error:
        raise ModelError(
            f"open_clip can't give {config.model} with weights {config.pretrained!r}: {error}; "
            "clip.pretrained is one of open_clip's tags or a local file"
        ) from error
    return model, dict(open_clip.get_model_preprocess_cfg(model))


def note(config: ClipConfig) -> dict[str, Any]:
    """A config that refers to a published model: its name, its weights, the size of its photos.

    Raises:
        ModelError: as `published`, if open_clip has no config for the name.
    """
    known = open_clip.get_model_config(config.model)
    size = known["vision_cfg"].get("image_size", 224) if known else published(config)[1]["size"]
    return {
        "published": {"model": config.model, "pretrained": config.pretrained},
        "preprocess_cfg": {"size": size},
    }


def tokenizer(config: Mapping[str, Any]) -> Callable[[list[str]], Tensor]:
    """The model's tokenizer: maps texts to tokens (n, context length)."""
    if "name" in config:
        return open_clip.get_tokenizer(config["name"])  # type: ignore[no-any-return]
    return simple_tokenizer(config["model_cfg"]["text_cfg"]["context_length"])


def simple_tokenizer(context_length: int) -> open_clip.SimpleTokenizer:
    """open_clip's byte-pair encoding, as for the small encoder."""
    return open_clip.SimpleTokenizer(context_length=context_length)


def contrastive_loss(rank: int = 0, world: int = 1) -> ClipLoss:
    """open_clip's loss over the pairs of all ranks, each computing its own rows."""
    return ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world)


def put_tokens_first(model: nn.Module) -> None:
    """Run the text tower on (tokens, n, d) instead of (n, tokens, d): equal results, seven times as fast.

    PyTorch's masked attention transposes its input to this layout without a copy; in bfloat16 on a CPU a linear layer
    then copies its weights for every token.
    """
    transformer = getattr(getattr(model, "text", model), "transformer", None)
    if isinstance(transformer, open_clip.transformer.Transformer):
        transformer.batch_first = False
        for module in transformer.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.batch_first = False


def save(model: nn.Module, config: Mapping[str, Any], folder: Path) -> None:
    """Write a folder that `load` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2))


def load(folder: Path) -> tuple[nn.Module, dict[str, Any], str]:
    """Read a `clip` artifact: the model, its config, its id.

    Raises:
        ModelError: the folder is not such an artifact.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise ModelError(f"{folder}: no {CONFIG_FILE}; rerun jobs.train_clip, which writes it")
    config = json.loads(file.read_text())
    if "published" in config:
        clip = ClipConfig(**config["published"])
        model, preprocess = published(clip)
        config = {**config, "preprocess_cfg": preprocess, "name": clip.model}
        name = f"{clip.model}/{Path(clip.pretrained or '').name}"
    else:
        model, name = build(config), "small/corpus"
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return model.eval(), config, f"{name}#{weights_hash(model.state_dict())}"


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
