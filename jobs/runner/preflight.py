"""Preflight checks: fail within seconds on missing resources, weights or programs, and on inconsistent nodes.

Ray itself waits forever for resources that no node has, as another node might still join.
"""

import hashlib
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import showcases
from jobs.runner import cluster
from jobs.runner.cluster import ClusterConfig
from jobs.runner.config import PipelineConfig
from jobs.runner.input_files import with_corpus_paths
from jobs.runner.requirements import Requirement, problem_of
from jobs.runner.step import Step, is_current
from showcases.errors import AccessDeniedError, ConfigError, DiskFullError
from showcases.storage.artifacts import Workspace
from showcases.system_errors import check_folder

ROOT_BYTES = 32 * 2**20  # minimum free space on the workspace's disk
PROBES = "_probes"  # temporary folder under the workspace root
PROBE_SECONDS = 120  # timeout for all nodes; starting a worker takes a few seconds
PACKAGES = ("ray", "torch", "pyarrow", "numpy")
NODE_GROUP = "ray.io/node-group"  # node label set by the cluster launcher and KubeRay
LIGHT = ("ingest", "fetch_images", "annotate", "build_gest", "publish")  # steps that don't need workers or encoders
HINTS = {
    "GPU": "Omit --cluster.gpu, request fewer, or add nodes with GPUs",
    "CPU": "Lower --cluster.workers or --cluster.cpus_per_worker, or add nodes",
}


def check_before_ray(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> None:
    """Run all checks that need no cluster, before anything is started or written.

    Args:
        config: from the command line; `corpus.reviews` is None if the mini corpus will be generated.
        steps: to run, in order; requirements of steps that are current are not checked.
        more: additional requirements.

    Raises:
        ShowcasesError: a check failed; the message says what to change.
    """
    check_root(Workspace(config.root))
    if (folder := tracking_folder(config)) is not None:
        check_folder(folder, what="MLflow's database folder, set by --tracking.uri")
    cluster.check_start(config.cluster)
    require({"this machine": problems_of(wanted_by(config, steps, more))})  # the driver's machine is also a node


def check_root(workspace: Workspace) -> None:
    """Check that this process can write to the workspace, and that the disk of a folder has room.

    Raises:
        ShowcasesError: it can't write, or the disk is full.
    """
    if workspace.is_local:
        check_folder(Path(workspace.root), ROOT_BYTES, "the workspace, set by --root")
        return
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    workspace.filesystem.delete_file(workspace.path(PROBES, token))


def tracking_folder(config: PipelineConfig) -> Path | None:
    """Folder of MLflow's database, if it is a file outside of the workspace."""
    uri = config.tracking.uri
    if uri is None:
        return Path.cwd() if "://" in config.root else None
    return Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else None


@dataclass(frozen=True)
class Want:
    """A requirement of a step."""

    step: str
    requirement: Requirement


def wanted_by(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> list[Want]:
    """Requirements of the steps that aren't current, deduplicated."""
    filled = with_corpus_paths(config)
    needing = [step.name for step in steps if step.needs(filled)]
    if not needing and not more:
        return []  # saves reading the workspace
    wanted = [Want(step.name, each) for step in not_current(filled, steps) for each in step.needs(filled)]
    wanted += [Want("this command", each) for each in more]
    return list({want.requirement: want for want in reversed(wanted)}.values())[::-1]


def not_current(config: PipelineConfig, steps: Sequence[Step]) -> list[Step]:
    """The steps whose artifacts are missing or stale, or will be after earlier steps have run."""
    workspace = Workspace(config.root)
    changed: set[str] = set()
    result = []
    for step in steps:
        if (
            config.force
            or changed & set(step.reads)
            or step.is_forced(config)
            or not is_current(step, workspace, config)
        ):
            result.append(step)
            changed |= set(step.writes)
    return result


def problems_of(wanted: Sequence[Want]) -> list[tuple[Want, str]]:
    """Unmet requirements on this machine, and what to do."""
    return [(want, problem) for want in wanted if (problem := problem_of(want.requirement)) is not None]


def require(problems: Mapping[str, Sequence[tuple[Want, str]]]) -> None:
    """Warn about missing optional requirements; fail if others are missing.

    Args:
        problems: by machine.

    Raises:
        ConfigError: lists everything missing, and what to do.
    """
    machines: dict[tuple[Want, str], list[str]] = {}
    for machine, found in problems.items():
        for each in found:
            machines.setdefault(each, []).append(machine)
    lines = {
        each: f"{each[0].step}: {each[0].requirement.option}: {each[1]} [{', '.join(names)}]"
        for each, names in machines.items()
    }
    for (want, _), line in lines.items():
        if want.requirement.optional:
            print(f"warning: {line}", file=sys.stderr, flush=True)
    missing = [line for (want, _), line in lines.items() if not want.requirement.optional]
    if missing:
        listed = "".join(f"\n  - {line}" for line in missing)
        raise ConfigError(f"requirements of the config are missing; nothing was started:{listed}")


def check(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> None:
    """Check the cluster before the steps run.

    Args:
        steps: to run, in order.
        more: additional requirements.

    Raises:
        ConfigError: the cluster doesn't meet the config; the message says what to change.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if more or any(step.name not in LIGHT for step in steps):
        check_resources(config.cluster, [node["Resources"] for node in nodes], may_grow(nodes))
    if len(nodes) > 1:  # a single node is this machine, checked by `check_before_ray`
        wanted = [want for want in wanted_by(config, steps, more) if want.requirement.place == "nodes"]
        check_nodes(nodes, Workspace(config.root), wanted)


def may_grow(nodes: list[dict[str, Any]]) -> bool:
    """Whether an autoscaler manages these nodes, by Ray's node-group label."""
    return any(node.get("Labels", {}).get(NODE_GROUP) for node in nodes)


def check_resources(config: ClusterConfig, nodes: list[dict[str, float]], may_grow: bool) -> None:
    """Check that training workers and encoders can be scheduled.

    Args:
        nodes: resources of each, e.g. {"CPU": 16, "GPU": 2}.

    Raises:
        ConfigError: they can't, and there is no autoscaler.
    """
    for resource, each, number, who in demands(config):
        fit = sum(int(node.get(resource, 0) // each) for node in nodes)
        if fit >= number:
            continue
        total = sum(node.get(resource, 0) for node in nodes)
        room = f"the cluster has {total:g} {resource} on {len(nodes)} node(s), room for {fit}"
        shortage = f"{who}: {number} x {each} {resource}, {room}"
        if not may_grow:
            raise ConfigError(f"{shortage}; Ray would wait forever. {HINTS[resource]}")
        print(f"  {shortage}; waiting for the autoscaler (forever, if it has no such nodes)", flush=True)


def demands(config: ClusterConfig) -> Iterator[tuple[str, int, int, str]]:
    """(resource, amount per process, number of processes, the options that request them)."""
    workers, encoders = f"cluster.workers {config.workers}", f"cluster.encoders {config.encoders}"
    yield (
        "CPU",
        config.cpus_per_worker,
        config.workers,
        f"{workers}, cluster.cpus_per_worker {config.cpus_per_worker}",
    )
    if config.gpu:
        yield "GPU", 1, config.workers, f"cluster.gpu, {workers}"
        yield "GPU", 1, config.encoders, f"cluster.gpu, {encoders}"


def facts() -> dict[str, str]:
    """Versions that must be the same in all processes of a run."""
    python = platform.python_version_tuple()
    versions = {name: metadata.version(name).split("+")[0] for name in PACKAGES}  # torch is 2.13.0+cpu or +cu126
    return {"python": ".".join(python[:2]), **versions, "code of showcases": code_digest()}


def code_digest() -> str:
    """12 hex digits: hash of the library's source as imported here."""
    folder = Path(showcases.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def report(workspace: Workspace, token: str, wanted: Sequence[Want]) -> dict[str, Any]:
    """Report on this node: versions, whether it sees the driver's file, and unmet requirements."""
    result: dict[str, Any] = {"facts": facts(), "seen": False, "error": "", "refused": None, "problems": []}
    try:
        result["seen"] = workspace.read_bytes(PROBES, token) == token.encode()
        if result["seen"]:
            check_root(workspace)
    except (DiskFullError, AccessDeniedError) as error:
        result["refused"] = error
    except Exception as error:  # the driver reports it with the node's name
        result["error"] = str(error) or type(error).__name__
    return result | {"problems": problems_of(wanted)}


def check_nodes(nodes: list[dict[str, Any]], workspace: Workspace, wanted: Sequence[Want] = ()) -> None:
    """Check each node by a task: versions, access to the workspace, and requirements.

    Raises:
        ConfigError: a node doesn't respond, has other versions, doesn't see the workspace, or lacks a requirement.
        ShowcasesError: a node can't write to the workspace.
    """
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    try:
        here, reports = facts(), ask(nodes, workspace, token, wanted)
    finally:
        workspace.filesystem.delete_file(workspace.path(PROBES, token))
    for address, found in reports.items():
        compare(address, here, found["facts"])
        if not found["seen"]:
            raise ConfigError(
                f"node {address} does not see the file that this process wrote to {workspace.root} "
                f"({found['error'] or 'its content differs'}); the workspace must be shared by all nodes: "
                "s3://bucket/prefix with credentials on each, or a folder that all mount (NFS, EFS)"
            )
        if found["refused"] is not None:
            raise type(found["refused"])(f"node {address}: {found['refused']}")
    require({f"node {address}": found["problems"] for address, found in reports.items()})


def ask(
    nodes: list[dict[str, Any]], workspace: Workspace, token: str, wanted: Sequence[Want]
) -> dict[str, dict[str, Any]]:
    """Each node's report, by address."""
    task = ray.remote(report)
    pending = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": task.options(
            num_cpus=0, max_retries=1, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(workspace, token, wanted)
        for node in nodes
    }
    reports = {}
    ray.wait(list(pending.values()), num_returns=len(pending), timeout=PROBE_SECONDS)
    for address, answer in pending.items():
        try:
            reports[address] = ray.get(answer, timeout=0)
        except (RayError, GetTimeoutError, ImportError) as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ConfigError(
                f"node {address} can't run a task of Showcases ({first}); its image or installation differs: "
                "all nodes need the packages of constraints.txt"
            ) from error
    return reports


def compare(address: str, here: dict[str, str], there: dict[str, str]) -> None:
    """Check that a node has the same versions as this process.

    Raises:
        ConfigError: versions differ.
    """
    others = [
        f"{name} {there.get(name)} there, {value} here" for name, value in here.items() if there.get(name) != value
    ]
    if others:
        raise ConfigError(
            f"node {address} differs from this process: {'; '.join(others)}; use one image on all nodes (or the "
            "packages of constraints.txt), and submit the code with the job: `python -m jobs.submit`"
        )
