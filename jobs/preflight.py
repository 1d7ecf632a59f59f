"""What would cost an hour is told in the first seconds: resources that will never come, nodes that don't fit together.

Ray waits for ever for a GPU that no node has, and for workers that don't fit, as another node might still join.
"""

import hashlib
import platform
import secrets
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import showcases
from jobs.cluster import ClusterConfig
from jobs.config import PipelineConfig
from showcases.artifacts import Workspace
from showcases.errors import ConfigError

if TYPE_CHECKING:
    from jobs.step import Step

PROBES = "_probes"  # folder under the workspace root, for seconds
PROBE_SECONDS = 120  # for all nodes to answer; a worker process starts in a few
PACKAGES = ("ray", "torch", "pyarrow", "numpy")
NODE_GROUP = "ray.io/node-group"  # label that a node has from the cluster launcher and from KubeRay
LIGHT = ("ingest", "fetch_images", "annotate", "build_gest", "publish")  # steps that neither train nor encode
CURES = {
    "GPU": "Leave out --cluster.gpu, ask for fewer, or add nodes with GPUs",
    "CPU": "Lower --cluster.workers or --cluster.cpus_per_worker, or add nodes",
}


def check_before_ray(config: PipelineConfig, steps: Sequence["Step"]) -> None:
    """Check everything that needs no cluster, before one is started and before anything is written.

    Args:
        config: as the command line gives it: `corpus.reviews` is None where the generated corpus will be used.
        steps: that are about to run, in order.

    Raises:
        ShowcasesError: a check fails; says what to change.
    """
    check_root(Workspace(config.root))


def check_root(workspace: Workspace) -> None:
    """Check that this process can write to the workspace, by writing a small file there."""
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    workspace.filesystem.delete_file(workspace.path(PROBES, token))


def check(config: PipelineConfig, step: str | None = None) -> None:
    """Check the cluster before work begins.

    Args:
        step: that is run alone; None is the whole flow.

    Raises:
        ConfigError: the cluster can't do what the config asks for; says what to change.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if step not in LIGHT:
        check_resources(config.cluster, [node["Resources"] for node in nodes], may_grow(nodes))
    if len(nodes) > 1:
        check_nodes(nodes, Workspace(config.root))


def may_grow(nodes: list[dict[str, Any]]) -> bool:
    """Whether an autoscaler made these nodes: Ray labels them with their group then."""
    return any(node.get("Labels", {}).get(NODE_GROUP) for node in nodes)


def check_resources(cluster: ClusterConfig, nodes: list[dict[str, float]], may_grow: bool) -> None:
    """Check that the workers that train together, and the encoders, can be placed.

    Args:
        nodes: resources of each, e.g. {"CPU": 16, "GPU": 2}.

    Raises:
        ConfigError: they can't, and nobody will add nodes.
    """
    for resource, each, number, who in demands(cluster):
        fit = sum(int(node.get(resource, 0) // each) for node in nodes)
        if fit >= number:
            continue
        total = sum(node.get(resource, 0) for node in nodes)
        room = f"the cluster has {total:g} {resource} on {len(nodes)} node(s), room for {fit}"
        told = f"{who}: {number} x {each} {resource}, {room}"
        if not may_grow:
            raise ConfigError(f"{told}; Ray would wait for ever. {CURES[resource]}")
        print(f"  {told}; waiting for its autoscaler, for ever if that has no such nodes to add", flush=True)


def demands(cluster: ClusterConfig) -> Iterator[tuple[str, int, int, str]]:
    """(resource, amount for one, how many at the same time, which options ask for them)."""
    workers, encoders = f"cluster.workers {cluster.workers}", f"cluster.encoders {cluster.encoders}"
    yield (
        "CPU",
        cluster.cpus_per_worker,
        cluster.workers,
        f"{workers}, cluster.cpus_per_worker {cluster.cpus_per_worker}",
    )
    if cluster.gpu:
        yield "GPU", 1, cluster.workers, f"cluster.gpu, {workers}"
        yield "GPU", 1, cluster.encoders, f"cluster.gpu, {encoders}"


def facts() -> dict[str, str]:
    """What has to be the same in all processes of a run."""
    python = platform.python_version_tuple()
    versions = {name: metadata.version(name).split("+")[0] for name in PACKAGES}  # torch is 2.13.0+cpu or +cu126
    return {"python": ".".join(python[:2]), **versions, "code of showcases": code_digest()}


def code_digest() -> str:
    """12 hex digits of the library's source as it is imported here."""
    folder = Path(showcases.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def report(workspace: Workspace, token: str) -> dict[str, Any]:
    """Of the node that this runs on: its facts, and whether it sees what the driver wrote."""
    try:
        seen = workspace.read_bytes(PROBES, token) == token.encode()
        return {"facts": facts(), "seen": seen, "error": ""}
    except Exception as error:  # whatever it is, the driver tells it with the node's name
        return {"facts": facts(), "seen": False, "error": f"{type(error).__name__}: {error}"}


def check_nodes(nodes: list[dict[str, Any]], workspace: Workspace) -> None:
    """Ask each node, by a task on it, for its versions and for a file that the driver has just written.

    Raises:
        ConfigError: one doesn't answer, has other versions, or doesn't see the file.
    """
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    try:
        here, reports = facts(), ask(nodes, workspace, token)
    finally:
        workspace.filesystem.delete_file(workspace.path(PROBES, token))
    for address, told in reports.items():
        compare(address, here, told["facts"])
        if not told["seen"]:
            raise ConfigError(
                f"node {address} does not see {workspace.root}, which this process has just written to "
                f"({told['error'] or 'it holds something else'}); the workspace must be shared by all nodes: "
                "s3://bucket/prefix with a credential on each, or a folder that all mount (NFS, EFS)"
            )


def ask(nodes: list[dict[str, Any]], workspace: Workspace, token: str) -> dict[str, dict[str, Any]]:
    """Each node's report, by its address."""
    task = ray.remote(report)
    asked = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": task.options(
            num_cpus=0, max_retries=1, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(workspace, token)
        for node in nodes
    }
    reports = {}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=PROBE_SECONDS)
    for address, answer in asked.items():
        try:
            reports[address] = ray.get(answer, timeout=0)
        except (RayError, GetTimeoutError, ImportError) as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ConfigError(
                f"node {address} can't run a task of Showcases ({first}); its image or its installation differs: all "
                "nodes need the packages of constraints.txt"
            ) from error
    return reports


def compare(address: str, here: dict[str, str], there: dict[str, str]) -> None:
    """Check that a node has what this process has.

    Raises:
        ConfigError: the node's versions are others.
    """
    others = [
        f"{name} {there.get(name)} there, {value} here" for name, value in here.items() if there.get(name) != value
    ]
    if others:
        raise ConfigError(
            f"node {address} differs from this process: {'; '.join(others)}; give all nodes one image (or the packages "
            "of constraints.txt), and send the code with the job: `python -m jobs.submit`"
        )
