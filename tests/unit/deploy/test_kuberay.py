"""deploy/kuberay.yaml against KubeRay's own schemas, and against what it must agree with. No Kubernetes is asked."""

import copy
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from serve_apps.args import SERVE_ENV, ShowcaseArgs

OURS = ("root", "tracking_uri")  # of the service's arguments: where it runs


@pytest.fixture(scope="module")
def schemas(repository: Path) -> dict[str, Any]:
    return json.loads(gzip.decompress((repository / "tests/kuberay/schemas.json.gz").read_bytes()))


@pytest.fixture
def manifests(repository: Path) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in documents(repository)}


def documents(repository: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((repository / "deploy/kuberay.yaml").read_text()))


def cluster_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["rayClusterSpec" if manifest["kind"] == "RayJob" else "rayClusterConfig"]


def pods(manifests: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(kind, group, pod's spec) of each group of each cluster."""
    for kind in ("RayJob", "RayService"):
        cluster = cluster_of(manifests[kind])
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            yield kind, group, group["template"]["spec"]


@pytest.mark.parametrize("kind", ["RayJob", "RayService"])
def test_passes_kuberays_schema(kind: str, schemas: dict[str, Any], manifests: dict[str, dict[str, Any]]) -> None:
    Draft202012Validator(schemas[kind]).validate(manifests[kind])
    assert "kuberay v" in schemas["source"]


@pytest.mark.parametrize("mistake", ["misspelt field", "field deep in a pod", "wrong type", "no pod", "unknown mode"])
def test_kuberays_schema_refuses_mistakes(
    mistake: str, schemas: dict[str, Any], manifests: dict[str, dict[str, Any]]
) -> None:
    job = copy.deepcopy(manifests["RayJob"])
    cluster = cluster_of(job)
    if mistake == "misspelt field":
        job["spec"]["entryPoint"] = job["spec"].pop("entrypoint")
    elif mistake == "field deep in a pod":
        cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["imagepullpolicy"] = "Always"
    elif mistake == "wrong type":
        cluster["workerGroupSpecs"][0]["maxReplicas"] = "eight"
    elif mistake == "no pod":
        del cluster["headGroupSpec"]["template"]
    else:
        cluster["authOptions"]["mode"] = "password"
    assert not Draft202012Validator(schemas["RayJob"]).is_valid(job)


def test_serves_what_the_config_file_serves(manifests: dict[str, dict[str, Any]], repository: Path) -> None:
    there = yaml.safe_load(manifests["RayService"]["spec"]["serveConfigV2"])
    here = yaml.safe_load((repository / "serve_apps/config.yaml").read_text())
    [arguments] = [app["args"] for app in there["applications"]]
    ShowcaseArgs(**arguments)  # refuses what it does not know
    assert arguments["root"].startswith("s3://")
    assert arguments["access"]["keys"].startswith("s3://")
    assert arguments["access"].pop("host") == there["http_options"]["host"] == "0.0.0.0"
    for app in (*there["applications"], *here["applications"]):
        for name in OURS:
            app["args"].pop(name, None)
        app["args"]["access"].pop("keys")
    shares = {}
    for options in there["applications"][0]["deployments"]:
        shares[options["name"]] = options["ray_actor_options"].pop("num_gpus", 0)
    for options in here["applications"][0]["deployments"]:
        assert options["ray_actor_options"].pop("num_gpus", 0) == 0  # a laptop has none
    groups = manifests["RayService"]["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    pods = [group["template"]["spec"]["containers"][0]["resources"]["limits"] for group in groups]
    gpus = max(int(pod.get("nvidia.com/gpu", 0)) for pod in pods)
    assert 0 < shares["Selector"] + shares["Generator"] <= gpus and not shares["Gateway"]  # a node's GPU holds both
    assert there["applications"] == here["applications"]
    assert there["proxy_location"] == here["proxy_location"]


def test_serving_pods_have_serves_environment(manifests: dict[str, dict[str, Any]]) -> None:
    assert manifests["ConfigMap"]["data"] == SERVE_ENV
    name = {"name": manifests["ConfigMap"]["metadata"]["name"]}
    for kind, _, pod in pods(manifests):
        named = {"configMapRef": name} in pod["containers"][0]["envFrom"]
        assert named == (kind == "RayService")


def test_clusters_grow_from_cpu_and_gpu_groups(manifests: dict[str, dict[str, Any]], repository: Path) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (repository / "constraints.txt").read_text(), flags=re.MULTILINE))
    for kind in ("RayJob", "RayService"):
        cluster = cluster_of(manifests[kind])
        assert cluster["rayVersion"] == pins["ray"]
        assert cluster["enableInTreeAutoscaling"] is True
        assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        for group in cluster["workerGroupSpecs"]:
            assert group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
            [container] = group["template"]["spec"]["containers"]
            has_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
            assert has_gpu == (group["groupName"] == "gpu") == container["image"].endswith(":gpu")
        assert {group["groupName"] for group in cluster["workerGroupSpecs"]} == {"cpu", "gpu"}


def test_pods_are_not_root_and_hold_no_secret(manifests: dict[str, dict[str, Any]], repository: Path) -> None:
    for _, _, pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}
        assert "env" not in pod["containers"][0]  # values come by reference
    text = (repository / "deploy/kuberay.yaml").read_text()
    assert not re.search(r"AKIA|ASIA|password|private_key|-----BEGIN|kind: Secret", text)


def test_the_job_is_a_command_line_of_ours(manifests: dict[str, dict[str, Any]]) -> None:
    from jobs.cli.commands import COMMANDS
    from jobs.cli.main import with_shipped_config
    from jobs.runner.config import parse

    program, step, *options = manifests["RayJob"]["spec"]["entrypoint"].split()
    assert program == "showcases"
    assert COMMANDS[step].remote
    assert parse(with_shipped_config(options), step).root.startswith("s3://")


def test_workers_do_not_have_the_account_that_may_change_the_cluster(
    manifests: dict[str, dict[str, Any]], repository: Path
) -> None:
    """KubeRay binds the right to patch the RayCluster to the account of its head."""
    accounts = {each["metadata"]["name"]: each for each in documents(repository) if each["kind"] == "ServiceAccount"}
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for kind, group, pod in pods(manifests):
        is_head = "groupName" not in group
        used[is_head].add(pod["serviceAccountName"])
        assert kind == "RayService" or "serve" not in pod["serviceAccountName"]
        if not is_head:
            assert pod["automountServiceAccountToken"] is False
            assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
    assert len(used[True]) == len(used[False]) == 2 and not used[True] & used[False]
    assert used[True] | used[False] == set(accounts)


def test_jobs_do_not_write_where_the_keys_are(manifests: dict[str, dict[str, Any]]) -> None:
    [application] = yaml.safe_load(manifests["RayService"]["spec"]["serveConfigV2"])["applications"]
    keys, root = application["args"]["access"]["keys"], application["args"]["root"]
    assert keys.split("/")[2] != root.split("/")[2]  # another bucket
