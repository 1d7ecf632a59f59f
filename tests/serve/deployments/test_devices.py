"""Where the service's models are: GPUs by `num_gpus` from the flag to the replica, and what is refused."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from serve_apps.args import CONFIG, ShowcaseArgs, deployment_options
from serve_apps.deployments import device
from showcases.errors import ConfigError

ON_A_FAKE_GPU = """
import json, sys
from urllib.request import Request, urlopen
import ray
from serve_apps.args import ShowcaseArgs, runtime_env
from serve_apps.run import serving
from showcases.errors import ConfigError
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, runtime_env=runtime_env())
def gpus():
    return ray.available_resources().get("GPU", 0)
args = ShowcaseArgs(root=sys.argv[1], device="cpu")
try:
    with serving(args, port=0, num_gpus=0.75):
        raise AssertionError("1.5 GPUs were found")
except ConfigError as error:
    assert "1.5 GPUs in total, this cluster has 1" in str(error)
before = gpus()
with serving(args, port=0, num_gpus=0.25) as url:
    print("taken", before - gpus())
"""


def test_the_config_and_the_flag_reach_the_deployments() -> None:
    [application] = yaml.safe_load(CONFIG.read_text())["applications"]
    for name in ("Selector", "Generator"):
        [options] = [one for one in application["deployments"] if one["name"] == name]
        assert deployment_options(name)["ray_actor_options"] == options["ray_actor_options"]
        asked = deployment_options(name, 0.5)["ray_actor_options"]
        assert asked == options["ray_actor_options"] | {"num_gpus": 0.5}
    assert ShowcaseArgs(device="cuda").device == "cuda" and ShowcaseArgs().device == "auto"


@pytest.mark.parametrize(
    ("wanted", "given", "usable", "found"),
    [
        ("cpu", ["0"], True, "cpu"),
        ("auto", [], True, "cpu"),
        ("auto", ["0"], True, "cuda"),
        ("cuda", ["0"], True, "cuda"),
        ("cuda", [], True, ConfigError),
        ("cuda", ["0"], False, ConfigError),
        ("auto", ["0"], False, ConfigError),
    ],
)
def test_a_replica_takes_the_gpu_that_it_was_given(monkeypatch, wanted, given, usable, found) -> None:
    context = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": given})
    monkeypatch.setattr(device.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    if found is ConfigError:
        with pytest.raises(ConfigError, match="num_gpus"):
            device.torch_device(wanted)
    else:
        assert device.torch_device(wanted) == found


@pytest.mark.ray
def test_replicas_are_placed_on_the_gpus_of_the_cluster(tiny_workspace, repository: Path) -> None:
    """By a GPU that Ray is only told of, on a cluster of its own."""
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FAKE_GPU, tiny_workspace.root],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "taken 0.5" in done.stdout  # a quarter each
