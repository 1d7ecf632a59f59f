"""Requirements of each step by its config, see `Step.needs`."""

from pathlib import Path

from jobs.runner.config import PipelineConfig
from jobs.runner.requirements import (
    WEIGHTS,
    BackboneWeights,
    ClipWeights,
    Cuda,
    Encoder,
    Gpt2,
    Java,
    Requirement,
    Room,
    SpacyPipeline,
)
from showcases.clip.config import TrainClipConfig

GPT2_BYTES = 550 * 2**20  # weights of GPT-2 small
CHECKPOINT_FILES = 6  # weights and Adam's two moments, in two checkpoints


def gpu_needs(config: PipelineConfig) -> list[Requirement]:
    """Of a step that uses GPUs if configured."""
    return [Cuda("cluster.gpu")] if config.cluster.gpu else []


def photo_needs(config: PipelineConfig) -> list[Requirement]:
    """Disk space for a copy of the photos from a folder or tars."""
    photos = Path(config.corpus.photos or "")
    if config.corpus.photos is None or not photos.exists():
        return []
    files = [photos] if photos.is_file() else photos.rglob("*")
    size = sum(file.stat().st_size for file in files if file.is_file())
    return [Room("root", "driver", True, root=config.root, need_bytes=size, what=f"the photos of {photos}")]


def clip_needs(config: PipelineConfig) -> list[Requirement]:
    """The pretrained encoder, or the backbone that the small one is trained from."""
    clip, small = config.clip, config.train_clip
    if clip.pretrained is not None:
        return [ClipWeights("clip", model=clip.model, pretrained=clip.pretrained)]
    if small.backbone_weights is None and small.backbone in (None, TrainClipConfig().backbone):
        return gpu_needs(config)
    weights = BackboneWeights("train_clip.backbone", backbone=small.backbone, path=small.backbone_weights)
    return [*gpu_needs(config), weights]


def embed_needs(config: PipelineConfig) -> list[Requirement]:
    """The pretrained encoder; a trained one is in the workspace."""
    return gpu_needs(config) + (clip_needs(config) if config.clip.pretrained is not None else [])


def generator_needs(config: PipelineConfig) -> list[Requirement]:
    """GPT-2 with its tokenizer, the spaCy pipeline for hard negatives, and disk space for checkpoints."""
    options = config.train_generator
    needs = gpu_needs(config)
    if (source := options.model.pretrained) is not None:
        weights, most = not options.model.random_init, options.model.max_tokens
        needs.append(Gpt2("train_generator.model.pretrained", source=source, weights=weights, max_tokens=most))
        size = CHECKPOINT_FILES * max(GPT2_BYTES, _folder_bytes(source))
        needs.append(
            Room("root", "driver", True, root=config.root, need_bytes=size, what="the generator's checkpoints")
        )
    if options.spacy_model is not None and any(options.needs_hard(variant) for variant in options.variants):
        needs.append(SpacyPipeline("train_generator.spacy_model", name=options.spacy_model))
    return needs


def evaluate_needs(config: PipelineConfig) -> list[Requirement]:
    """Models and tools of the text metrics, on the driver."""
    options = config.evaluate
    needs: list[Requirement] = [*gpu_needs(config), Java("METEOR", "driver", True)]
    if options.spacy_model is not None:
        needs.append(SpacyPipeline("evaluate.spacy_model", "driver", name=options.spacy_model, tags=True))
    if options.bertscore_model is not None:
        layer = options.bertscore_layer
        needs.append(Encoder("evaluate.bertscore_model", "driver", source=options.bertscore_model, layer=layer))
    return needs


def _folder_bytes(source: str) -> int:
    return sum((Path(source) / file).stat().st_size for file in WEIGHTS if (Path(source) / file).is_file())
