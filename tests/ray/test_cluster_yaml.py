"""cluster.yaml passes Ray's own checks, fits what is pinned, and holds no secret. No cloud is asked."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config


@pytest.fixture
def config(repository: Path) -> dict[str, Any]:
    return yaml.safe_load((repository / "cluster.yaml").read_text())


def test_passes_rays_schema(config: dict[str, Any]) -> None:
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize("change", ["unknown key", "node without resources", "head of no type", "text for a number"])
def test_rays_schema_refuses_mistakes(config: dict[str, Any], change: str) -> None:
    if change == "unknown key":
        config["max_worker"] = 3
    elif change == "node without resources":
        del config["available_node_types"]["gpu"]["resources"]
    elif change == "head of no type":
        config["head_node_type"] = "boss"
    else:
        config["idle_timeout_minutes"] = "five"
    with pytest.raises((ValidationError, ValueError)):
        validate_config(prepare_config(config))


def test_grows_from_nothing_on_spot_nodes(config: dict[str, Any]) -> None:
    workers = {name: node for name, node in config["available_node_types"].items() if name != config["head_node_type"]}
    assert any("GPU" in node["resources"] for node in workers.values())
    assert any("GPU" not in node["resources"] for node in workers.values())
    for node in workers.values():
        assert node["min_workers"] == 0 < node["max_workers"]
        assert node["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert config["max_workers"] >= sum(node["max_workers"] for node in workers.values())


def test_images_hold_the_pinned_ray(config: dict[str, Any], repository: Path) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (repository / "constraints.txt").read_text(), flags=re.MULTILINE))
    images = re.findall(r"rayproject/ray:(\S+?)-py", (repository / "cluster.yaml").read_text())
    assert len(images) == 2
    assert set(images) == {pins["ray"]}


def test_mounted_files_exist(config: dict[str, Any], repository: Path) -> None:
    for local in config["file_mounts"].values():
        assert (repository / local).exists(), local


def test_holds_no_secret(repository: Path) -> None:
    text = (repository / "cluster.yaml").read_text()
    assert not re.search(r"AKIA|ASIA|aws_secret|password|_token|private_key|-----BEGIN", text, flags=re.IGNORECASE)
