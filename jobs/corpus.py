"""The corpus files: those given, or the generated mini corpus, written out on first use."""

import hashlib
from dataclasses import replace
from pathlib import Path

from jobs.config import CorpusConfig, PipelineConfig
from showcases.errors import ConfigError, CorpusError
from showcases.gest import mini

MINI_FILES = ("image_review_all.json", "photos", "labels.json")


def with_corpus(config: PipelineConfig) -> PipelineConfig:
    """The config with corpus files filled in: those given, or the mini corpus, written where it is missing."""
    filled = with_corpus_paths(config)
    if filled is config:
        return config
    folder = mini_folder(config)
    marker = folder / "config.txt"
    if not marker.is_file() or marker.read_text() != repr(config.mini):
        print(f"[mini] writing the generated corpus to {folder}", flush=True)
        summary = mini.write_mini(folder, config.mini, progress=lambda text: print(f"  {text}", flush=True))
        print(summary.as_table(), flush=True)
        marker.write_text(repr(config.mini))
    return filled


def with_corpus_paths(config: PipelineConfig) -> PipelineConfig:
    """The same without writing anything: the mini corpus' files may not exist yet."""
    if config.corpus.reviews is not None:
        return config
    if config.corpus.photos or config.corpus.labels:
        raise ConfigError("photos or labels without reviews: give --reviews FILE too, or none to use the mini corpus")
    reviews, photos, labels = (str(mini_folder(config) / name) for name in MINI_FILES)
    return replace(config, corpus=CorpusConfig(reviews=reviews, photos=photos, labels=labels))


def mini_folder(config: PipelineConfig) -> Path:
    """Beside a local workspace's artifacts; in the working folder where the workspace is on S3."""
    name = f"mini-{hashlib.sha256(repr(config.mini).encode()).hexdigest()[:8]}"
    return (Path("corpus") if "://" in config.root else Path(config.root) / "corpus").resolve() / name


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        CorpusError: there is no such file.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: no such file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
