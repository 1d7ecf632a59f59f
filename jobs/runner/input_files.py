"""The corpus files: those configured, or the mini corpus, generated on first use."""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import showcases_demo as mini
from jobs.runner.config import CorpusConfig, PipelineConfig
from showcases.distillation.labelstudio import check_labels
from showcases.errors import ConfigError
from showcases.gest.reading.input_check import check_reviews, check_s2
from showcases.gest.reading.opening import file_digest, find_files

MINI_FILES = ("image_review_all.json", "photos", "labels.json")


def with_corpus(config: PipelineConfig) -> PipelineConfig:
    """The config with corpus paths filled in; generates the mini corpus if it is missing."""
    filled = with_corpus_paths(config)
    if filled is config:
        return config
    folder = mini_folder(config)
    marker = folder / "config.txt"
    if not marker.is_file() or marker.read_text() != repr(config.mini):
        print(f"[mini] writing the generated corpus to {folder}", flush=True)
        with written_aside(folder) as aside:
            summary = mini.write_mini(aside, config.mini, progress=lambda text: print(f"  {text}", flush=True))
            (aside / marker.name).write_text(repr(config.mini))
        print(summary.as_table(), flush=True)
    return filled


def with_corpus_paths(config: PipelineConfig) -> PipelineConfig:
    """Like `with_corpus`, but without generating the mini corpus."""
    if config.corpus.reviews is not None:
        return config
    if config.corpus.photos or config.corpus.labels:
        raise ConfigError(
            "photos or labels without reviews: set --reviews FILE too, or none of them to use the mini corpus"
        )
    reviews, photos, labels = (str(mini_folder(config) / name) for name in MINI_FILES)
    return replace(config, corpus=CorpusConfig(reviews=reviews, photos=photos, labels=labels))


@contextlib.contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A temporary folder, renamed to `folder` if the block succeeds; of two writers, the first wins."""
    aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield aside
        if folder.exists() and not (folder / "config.txt").is_file():
            shutil.rmtree(folder)  # partial, from a release that wrote in place
        with contextlib.suppress(OSError):  # another process won; the content is the same
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def mini_folder(config: PipelineConfig) -> Path:
    """Inside a local workspace; in the working directory if the workspace is on S3."""
    name = f"mini-{hashlib.sha256(repr(config.mini).encode()).hexdigest()[:8]}"
    return (Path("corpus") if "://" in config.root else Path(config.root) / "corpus").resolve() / name


def check_corpus(config: PipelineConfig, steps: Collection[str]) -> None:
    """Check that the corpus files of these steps exist and have the expected format.

    Args:
        steps: names of the steps to run.

    Raises:
        CorpusError, ObjectStoreError: a file is missing, unreadable or has another format.
    """
    if "ingest" in steps and config.corpus.reviews is not None:
        check_reviews(config.corpus.reviews)
    if "import_s2" in steps and config.corpus.reviews is not None:
        check_s2(config.corpus.reviews)
    if "annotate" in steps and config.corpus.labels:
        check_labels(config.corpus.labels)


def review_files(config: PipelineConfig) -> list[str]:
    """The review files, with patterns expanded.

    Raises:
        ConfigError: none is configured.
        CorpusError: a file is missing.
    """
    if not config.corpus.reviews:
        raise ConfigError("no review file; set one with --reviews")
    return find_files(config.corpus.reviews)


def label_files(config: PipelineConfig) -> list[str]:
    """Label Studio exports, oldest first, with patterns expanded; empty if there are no human labels."""
    return find_files(config.corpus.labels) if config.corpus.labels else []


def digests(noun: str, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file, by `NOUN file`, `NOUN file 1`, ...: order matters.

    Raises:
        CorpusError: a file is missing or can't be read.
    """
    return {f"{noun} file {n}" if n else f"{noun} file": file_digest(name) for n, name in enumerate(files)}
