"""One small corpus, written once for all tests of this folder."""

from pathlib import Path

import pytest

from showcases_demo import MiniConfig, MiniSummary, World, build_world, write_mini

TINY = MiniConfig(restaurants=6, users=24, reviews=90, photos=160, photo_size=48, annotated_reviews=40)


@pytest.fixture(scope="session")
def town() -> World:
    """A world of moderate size, not drawn."""
    return build_world(MiniConfig(restaurants=40, users=250, reviews=1500, photos=3000, annotated_reviews=500))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MiniSummary]:
    """The tiny corpus on disk: its folder and what the writer said of it."""
    folder = tmp_path_factory.mktemp("mini")
    return folder, write_mini(folder, TINY, processes=1)
