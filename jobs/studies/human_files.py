"""Parses jobs.human_study's model folders, and writes its files."""

from collections.abc import Mapping
from pathlib import Path

from showcases.errors import ConfigError
from showcases.storage.artifacts import Place

DEFAULT_MODELS = "Ref2Seq=_reproduce/baseline-Ref2Seq-seed0,PC2L=generator/img_text-seed0"


def places_of(named: str) -> dict[str, Place]:
    """Parse `NAME=FOLDER,...` to folders by name.

    Raises:
        ConfigError: malformed, or a name is repeated.
    """
    found: dict[str, Place] = {}
    for part in filter(None, named.split(",")):
        name, equals, folder = part.partition("=")
        if not name or not equals or not folder.strip("/") or name in found:
            raise ConfigError(f"--models {part}: expected NAME=FOLDER[,NAME=FOLDER…] with unique names")
        found[name] = tuple(folder.strip("/").split("/"))
    return found


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files by path below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
