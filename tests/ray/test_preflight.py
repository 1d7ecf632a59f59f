"""What can't work is told before work begins: resources, versions, a workspace that a node does not see."""

import re
from pathlib import Path
from typing import Any

import pytest
import ray

from jobs import train_selector
from jobs.runner import preflight
from jobs.runner.cluster import ClusterConfig
from jobs.runner.execute import main
from jobs.runner.exits import exit_on_error
from jobs.runner.requirements import BackboneWeights, SpacyPipeline
from showcases.errors import ConfigError, DiskFullError
from showcases.storage.artifacts import Workspace

pytestmark = pytest.mark.ray
CPUS = {"CPU": 16.0}
GPUS = {"CPU": 16.0, "GPU": 1.0}


class Elsewhere(Workspace):
    """As seen by another process, another folder: what the name of a local folder is on another node."""

    def __getstate__(self) -> dict[str, str]:
        return {"root": f"{self.root}-of-another-node"}


@pytest.fixture
def nodes(ray_cluster: str) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


@pytest.mark.parametrize(
    ("asked", "nodes", "told"),
    [
        (ClusterConfig(workers=2, cpus_per_worker=16), [CPUS, CPUS], None),
        (ClusterConfig(workers=3, cpus_per_worker=16), [CPUS, CPUS], "room for 2"),
        (ClusterConfig(workers=1, cpus_per_worker=32), [CPUS, CPUS], "room for 0"),  # a worker is on one node
        (ClusterConfig(gpu=True), [CPUS], "Omit --cluster.gpu"),
        (ClusterConfig(gpu=True), [CPUS, GPUS], None),
        (ClusterConfig(gpu=True, workers=2), [GPUS], "cluster.workers 2: 2 x 1 GPU"),
        (ClusterConfig(gpu=True, encoders=2), [GPUS], "cluster.encoders 2: 2 x 1 GPU"),
    ],
)
def test_what_never_fits_is_refused(
    asked: ClusterConfig, nodes: list[dict[str, float]], told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if told is None:
        preflight.check_resources(asked, nodes, may_grow=False)
        return
    with pytest.raises(ConfigError, match=told):
        preflight.check_resources(asked, nodes, may_grow=False)
    preflight.check_resources(asked, nodes, may_grow=True)
    assert "waiting for the autoscaler" in capsys.readouterr().out


def test_a_cluster_grows_where_ray_has_labelled_its_nodes() -> None:
    assert preflight.may_grow([{"Labels": {"ray.io/node-group": "head"}}])
    assert not preflight.may_grow([{"Labels": {"ray.io/node-id": "1f"}}, {}])


def test_a_step_that_trains_asks_for_its_gpu_first(
    ray_cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(train_selector.STEP, ["--root", str(tmp_path), "--cluster.gpu", "true"])
    assert ended.value.code == 1
    assert "the cluster has 0 GPU" in capsys.readouterr().err


def test_alike_nodes_that_share_the_workspace_pass(nodes: list[dict[str, Any]], tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    preflight.check_nodes(nodes, workspace)
    assert list(tmp_path.rglob("*")) == [] or not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_folder_that_a_node_does_not_see_is_told(nodes: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not see .* must be shared by all nodes") as told:
        preflight.check_nodes(nodes, Elsewhere(str(tmp_path / "workspace")))
    assert nodes[0]["NodeManagerAddress"] in str(told.value)


def test_other_code_on_a_node_is_told(
    nodes: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {**preflight.facts(), "torch": "1.0", "code of showcases": "changed"}
    monkeypatch.setattr(preflight, "facts", lambda: here)  # in this process alone
    with pytest.raises(ConfigError, match=r"differs .*torch 2\..* there, 1\.0 here; code of showcases \w{12} there"):
        preflight.check_nodes(nodes, Workspace(str(tmp_path)))


def test_what_a_node_lacks_is_told_with_its_name(
    nodes: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [
        preflight.Want("train_generator", SpacyPipeline("train_generator.spacy_model", name="nowhere")),
        preflight.Want("train_clip", BackboneWeights("train_clip.backbone", backbone="test_resnet", path="/none")),
        preflight.Want("evaluate", SpacyPipeline("evaluate.spacy_model", optional=True, name="nowhere")),
    ]
    with pytest.raises(ConfigError) as told:
        preflight.check_nodes(nodes, Workspace(str(tmp_path)), wanted)
    said = str(told.value)
    assert said.count(f"[node {nodes[0]['NodeManagerAddress']}") == 2  # both at once
    assert "python -m spacy download nowhere" in said
    assert "/none: no such file" in said
    assert "warning: evaluate: evaluate.spacy_model: nowhere" in capsys.readouterr().err


def test_a_full_disk_of_a_node_is_one_line(ray_cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    @ray.remote(max_retries=0)
    def write() -> None:
        with open("/dev/full", "wb") as stream:  # every write there fails as on a full disk
            stream.write(b"x")

    with pytest.raises(SystemExit) as ended, exit_on_error():
        ray.get(write.remote())
    assert ended.value.code == DiskFullError.exit_code
    [line] = capsys.readouterr().err.splitlines()
    assert re.match(r"error: a disk on node [\d.]+: the disk is full.* Make room", line)


def test_a_config_error_of_a_task_comes_without_its_stack_trace(
    ray_cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @ray.remote(max_retries=0)
    def refuse() -> None:
        raise ConfigError("not this way")

    with pytest.raises(SystemExit) as ended, exit_on_error():
        ray.get(refuse.remote())
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: not this way\n"


def test_a_node_that_does_not_answer_is_told(nodes: list[dict[str, Any]], tmp_path: Path) -> None:
    gone = {**nodes[0], "NodeID": "1" * len(nodes[0]["NodeID"])}
    with pytest.raises(ConfigError, match=r"node .*\(11111111\) can't run a task"):
        preflight.check_nodes([gone], Workspace(str(tmp_path)))
