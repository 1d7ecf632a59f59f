"""The actor that settles the encoders' dtype is lost: whoever asks afterwards hears what was settled before."""

from pathlib import Path

import pytest
import ray

from jobs.embed import arbiter
from showcases.artifacts import Workspace

pytestmark = pytest.mark.ray


def test_what_was_settled_outlives_the_arbiter(ray_cluster: str, tmp_path: Path) -> None:
    settles = arbiter(Workspace(str(tmp_path)))
    first = {"dtype": "bfloat16"}
    assert ray.get(settles.choice.remote()) is None
    assert ray.get(settles.settle.remote(first)) == first
    ray.kill(settles, no_restart=False)
    assert ray.get(settles.settle.remote({"dtype": "float32"}), timeout=60) == first
    assert ray.get(settles.choice.remote()) == first
