"""How pytest-xdist shares out the tests with `--dist loadscope`: a folder's stay in one process, and all that use Ray.

Those on Ray share one cluster and come first, as they take longest; the other processes run the rest meanwhile.
(`--dist loadgroup` has no effect with pytest 9.2 and xdist 3.8.)
"""

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
RAY = "ray"


@cache
def scope(file: str) -> str:
    """RAY for a file that has tests marked so, else its folder; `file` is relative to the repository."""
    path = REPOSITORY / file
    uses_ray = path.is_file() and "mark.ray" in path.read_text(encoding="utf-8")
    return RAY if uses_ray else str(PurePosixPath(file).parent)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """In the process that shares them out, which knows their names alone."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid.partition("::")[0])

    config.option.loadscopereorder = False  # in the order of the collection
    return ByScope(config, log)
