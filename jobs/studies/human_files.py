"""Folders of models named on the command line of jobs.human_study, and the files that it writes."""

from collections.abc import Mapping
from pathlib import Path

from showcases.errors import ConfigError
from showcases.storage.artifacts import Place

DEFAULT_MODELS = "Ref2Seq=_reproduce/baseline-Ref2Seq-seed0,PC2L=generator/img_text-seed0"


def places_of(named: str) -> dict[str, Place]:
    """Folders of `NAME=FOLDER,...` by name.

    Raises:
        ConfigError: it is not of that form, or a name comes twice.
    """
    found: dict[str, Place] = {}
    for part in filter(None, named.split(",")):
        name, equals, folder = part.partition("=")
        if not name or not equals or not folder.strip("/") or name in found:
            raise ConfigError(f"--models {part}: it is NAME=FOLDER[,NAME=FOLDER…], each name once")
        found[name] = tuple(folder.strip("/").split("/"))
    return found


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Files by path below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
