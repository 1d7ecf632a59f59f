"""Configuration of the pipeline: a frozen dataclass per step, read from a YAML file and flags."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, set_parsing_settings

from jobs.runner.cluster import ClusterConfig
from jobs.tracking.config import TrackingConfig
from showcases.clip.config import ClipConfig, EmbedConfig, TrainClipConfig
from showcases.distillation.config import AnnotateConfig, DistillConfig
from showcases.evaluation.config import EvaluateConfig, ReproduceConfig
from showcases.generator.config import TrainGeneratorConfig
from showcases.gest.config import BuildConfig, FetchConfig, IngestConfig
from showcases.selector.config import TrainSelectorConfig
from showcases_demo import MiniConfig

# Options with weights: a hub name, or a local file or folder.
MODEL_PATHS = (
    "clip.pretrained",
    "train_clip.backbone_weights",
    "train_generator.model.pretrained",
    "train_generator.spacy_model",
)


@dataclass(frozen=True)
class CorpusConfig:
    """Where the corpus is.

    Args:
        reviews: image_review_all.json (GEST-raw's format), plain or gzip: a path, an s3:// address, a pattern such as
            'part-*.json.gz', or a list of them; none generates the mini corpus.
        photos: folder of <photo id>.jpg, a .tar of them, a folder of WebDataset or img2dataset .tar files, or `urls`
            to fetch them from the URLs that the reviews name.
        labels: Label Studio's JSON export of the annotation, or a list of them, oldest first, named as reviews are;
            none falls back to weak labels by CLIP similarity.
    """

    reviews: list[str] | str | None = None
    photos: str | None = None
    labels: list[str] | str | None = None


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that the pipeline's results depend on, and where it runs.

    Args:
        root: workspace, a folder or s3://bucket/prefix.
        seed: for splits, and for steps without their own seed.
        force: rebuild the step's artifacts even if they are current.
        corpus: input files.
        mini: generated corpus, used if `corpus.reviews` is none.
        cluster: where Ray runs.
        tracking: MLflow.
        ingest: rules for raw reviews.
        fetch_images: photos.
        clip: encoder.
        train_clip: the small encoder.
        embed: embeddings.
        annotate: sample of pairs.
        distill: classifier of pairs.
        build_gest: datasets.
        train_selector: image selector.
        train_generator: explanation generator.
        evaluate: report.
        reproduce: the paper's studies (jobs.reproduce).
    """

    root: str = "workspace"
    seed: int = 0
    force: bool = False
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    mini: MiniConfig = field(default_factory=MiniConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    fetch_images: FetchConfig = field(default_factory=FetchConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    train_clip: TrainClipConfig = field(default_factory=TrainClipConfig)
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    annotate: AnnotateConfig = field(default_factory=AnnotateConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    build_gest: BuildConfig = field(default_factory=BuildConfig)
    train_selector: TrainSelectorConfig = field(default_factory=TrainSelectorConfig)
    train_generator: TrainGeneratorConfig = field(default_factory=TrainGeneratorConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    reproduce: ReproduceConfig = field(default_factory=ReproduceConfig)


def parser(prog: str) -> ArgumentParser:
    """Flags and `--config FILE` for a PipelineConfig; unknown keys are errors."""
    set_parsing_settings(docstring_parse_attribute_docstrings=False)
    result = ArgumentParser(prog=prog, description=PipelineConfig.__doc__, default_env=False)
    result.add_argument("--config", action="config", help="YAML file with any of the options below")
    result.add_class_arguments(PipelineConfig)
    result.add_argument("--reviews", dest="reviews", type=str, nargs="+", help="short for --corpus.reviews")
    result.add_argument("--photos", dest="photos", type=str | None, help="short for --corpus.photos")
    result.add_argument("--labels", dest="labels", type=str, nargs="+", help="short for --corpus.labels")
    result.add_argument("--retry", dest="retry", type=str | None, help="short for --fetch_images.retry")
    result.add_argument("--workers", dest="workers", type=int | None, help="short for --cluster.workers")
    return result


def parse(argv: Sequence[str] | None, prog: str) -> PipelineConfig:
    """Read the command line (and the YAML file it names)."""
    return PipelineConfig(**read(parser(prog), sys.argv[1:] if argv is None else argv))


def read(arguments: ArgumentParser, argv: Sequence[str]) -> dict[str, Any]:
    """Parse a command line into the config's dataclasses by section; options added to the parser stay plain."""
    values = arguments.parse_args(list(argv))
    for name in ("reviews", "photos", "labels"):
        given = values.pop(name, None)
        if given is not None:
            values["corpus"][name] = given[0] if isinstance(given, list) and len(given) == 1 else given
    for name, section in (("retry", "fetch_images"), ("workers", "cluster")):
        if (given := values.pop(name, None)) is not None:
            values[section][name] = given
    for name in MODEL_PATHS:
        if values[name] is not None and Path(values[name]).exists():  # absolute: workers have other working directories
            values[name] = str(Path(values[name]).resolve())
    init = arguments.instantiate_classes(values)
    init.pop("config", None)
    return init.as_dict()  # type: ignore[no-any-return]
