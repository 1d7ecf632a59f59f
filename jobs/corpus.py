"""The corpus files: those given, or the generated mini corpus, written out on first use."""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jobs.config import CorpusConfig, PipelineConfig
from showcases.errors import ConfigError, CorpusError
from showcases.gest import mini

MINI_FILES = ("image_review_all.json", "photos", "labels.json")


def with_corpus(config: PipelineConfig) -> PipelineConfig:
    """The config with corpus files filled in: those given, or the mini corpus, written where it is missing."""
    if config.corpus.reviews is not None:
        return config
    if config.corpus.photos or config.corpus.labels:
        raise ConfigError("photos or labels without reviews: give --reviews FILE too, or none to use the mini corpus")
    folder = mini_folder(config)
    marker = folder / "config.txt"
    if not marker.is_file() or marker.read_text() != repr(config.mini):
        print(f"[mini] writing the generated corpus to {folder}", flush=True)
        with written_aside(folder) as aside:
            summary = mini.write_mini(aside, config.mini, progress=lambda text: print(f"  {text}", flush=True))
            (aside / marker.name).write_text(repr(config.mini))
        print(summary.as_table(), flush=True)
    reviews, photos, labels = (str(folder / name) for name in MINI_FILES)
    return replace(config, corpus=CorpusConfig(reviews=reviews, photos=photos, labels=labels))


@contextlib.contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends well; of two writers the first one's stays."""
    aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield aside
        if folder.exists() and not (folder / "config.txt").is_file():
            shutil.rmtree(folder)  # half written, by a release that wrote in place
        with contextlib.suppress(OSError):  # another process was faster: the same config writes the same files
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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
