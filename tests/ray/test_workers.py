"""Ray workers see the same house as the driver: the standard library's platform, our library, our jobs."""

import platform
from pathlib import Path

import pytest
import ray

pytestmark = pytest.mark.ray


@ray.remote
def look_around() -> tuple[str, str, str, str]:
    import platform

    import jobs.runner.step
    import showcases

    return platform.system(), str(platform.__file__), str(showcases.__file__), str(jobs.runner.step.__file__)


def test_worker_has_the_standard_platform_and_our_packages(ray_cluster: str, repository: Path) -> None:
    system, platform_file, library, job = ray.get(look_around.remote(), timeout=120)
    assert system == platform.system()
    assert repository not in Path(platform_file).parents
    assert Path(library) == repository / "platform" / "showcases" / "__init__.py"
    assert Path(job) == repository / "jobs" / "runner" / "step.py"
