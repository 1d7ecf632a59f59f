"""What would cost an hour is told in the first seconds: resources that will never come, nodes that don't fit together.

Ray waits for ever for a GPU that no node has, and for workers that don't fit, as another node might still join.
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

ROOT_BYTES = 32 * 2**20  # free on the workspace's disk; less is not worth a start
PROBES = "_probes"  # folder under the workspace root, for seconds
PROBE_SECONDS = 120  # for all nodes to answer; a worker process starts in a few
PACKAGES = ("ray", "torch", "pyarrow", "numpy")
NODE_GROUP = "ray.io/node-group"  # label that a node has from the cluster launcher and from KubeRay
LIGHT = ("ingest", "fetch_images", "annotate", "build_gest", "publish")  # steps that neither train nor encode
CURES = {
    "GPU": "Leave out --cluster.gpu, ask for fewer, or add nodes with GPUs",
    "CPU": "Lower --cluster.workers or --cluster.cpus_per_worker, or add nodes",
}


def check_before_ray(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> None:
    """Check everything that needs no cluster, before one is started and before anything is written.

    Args:
        config: as the command line gives it: `corpus.reviews` is None where the generated corpus will be used.
        steps: that are about to run, in order; what those need that are up to date is not checked.
        more: is needed besides.

    Raises:
        ShowcasesError: a check fails; says what to change.
    """
    check_root(Workspace(config.root))
    if (folder := tracking_folder(config)) is not None:
        check_folder(folder, what="of MLflow's database, set by --tracking.uri")
    cluster.check_start(config.cluster)
    require({"this machine": problems_of(wanted_by(config, steps, more))})  # a driver's machine is one of the nodes


def check_root(workspace: Workspace) -> None:
    """Check that this process can write to the workspace, and that the disk of a folder has room.

    Raises:
        ShowcasesError: it can't, or has not.
    """
    if workspace.is_local:
        check_folder(Path(workspace.root), ROOT_BYTES, "the workspace, set by --root")
        return
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    workspace.filesystem.delete_file(workspace.path(PROBES, token))


def tracking_folder(config: PipelineConfig) -> Path | None:
    """Folder of MLflow's database, if it is a file that lies elsewhere than the workspace."""
    uri = config.tracking.uri
    if uri is None:
        return Path.cwd() if "://" in config.root else None
    return Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else None


@dataclass(frozen=True)
class Want:
    """What one step needs."""

    step: str
    requirement: Requirement


def wanted_by(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> list[Want]:
    """What the steps that are not up to date need, without repeats."""
    filled = with_corpus_paths(config)
    needing = [step.name for step in steps if step.needs(filled)]
    if not needing and not more:
        return []  # without a look into the workspace
    wanted = [Want(step.name, each) for step in not_current(filled, steps) for each in step.needs(filled)]
    wanted += [Want("this command", each) for each in more]
    return list({want.requirement: want for want in reversed(wanted)}.values())[::-1]


def not_current(config: PipelineConfig, steps: Sequence[Step]) -> list[Step]:
    """The steps whose artifacts are missing, or made from other inputs or config, or will be when their turn comes."""
    workspace = Workspace(config.root)
    changed: set[str] = set()
    result = []
    for step in steps:
        if config.force or changed & set(step.reads) or step.asked(config) or not is_current(step, workspace, config):
            result.append(step)
            changed |= set(step.writes)
    return result


def problems_of(wanted: Sequence[Want]) -> list[tuple[Want, str]]:
    """Which needs are not met on the machine that this runs on, and what to do."""
    return [(want, problem) for want in wanted if (problem := problem_of(want.requirement)) is not None]


def require(problems: Mapping[str, Sequence[tuple[Want, str]]]) -> None:
    """Print what is missing but optional; refuse to begin if anything else is missing.

    Args:
        problems: by machine.

    Raises:
        ConfigError: names everything that is missing, with what to do for each.
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
        raise ConfigError(f"what the config names is not all there; nothing has begun:{listed}")


def check(config: PipelineConfig, steps: Sequence[Step], more: Sequence[Requirement] = ()) -> None:
    """Check the cluster before work begins.

    Args:
        steps: that are about to run, in order.
        more: is needed besides.

    Raises:
        ConfigError: the cluster can't do what the config asks for; says what to change.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if more or any(step.name not in LIGHT for step in steps):
        check_resources(config.cluster, [node["Resources"] for node in nodes], may_grow(nodes))
    if len(nodes) > 1:  # a single one is this machine, which `check_before_ray` has looked at
        wanted = [want for want in wanted_by(config, steps, more) if want.requirement.place == "nodes"]
        check_nodes(nodes, Workspace(config.root), wanted)


def may_grow(nodes: list[dict[str, Any]]) -> bool:
    """Whether an autoscaler made these nodes: Ray labels them with their group then."""
    return any(node.get("Labels", {}).get(NODE_GROUP) for node in nodes)


def check_resources(asked: ClusterConfig, nodes: list[dict[str, float]], may_grow: bool) -> None:
    """Check that the workers that train together, and the encoders, can be placed.

    Args:
        nodes: resources of each, e.g. {"CPU": 16, "GPU": 2}.

    Raises:
        ConfigError: they can't, and nobody will add nodes.
    """
    for resource, each, number, who in demands(asked):
        fit = sum(int(node.get(resource, 0) // each) for node in nodes)
        if fit >= number:
            continue
        total = sum(node.get(resource, 0) for node in nodes)
        room = f"the cluster has {total:g} {resource} on {len(nodes)} node(s), room for {fit}"
        told = f"{who}: {number} x {each} {resource}, {room}"
        if not may_grow:
            raise ConfigError(f"{told}; Ray would wait for ever. {CURES[resource]}")
        print(f"  {told}; waiting for its autoscaler, for ever if that has no such nodes to add", flush=True)


def demands(asked: ClusterConfig) -> Iterator[tuple[str, int, int, str]]:
    """(resource, amount for one, how many at the same time, which options ask for them)."""
    workers, encoders = f"cluster.workers {asked.workers}", f"cluster.encoders {asked.encoders}"
    yield (
        "CPU",
        asked.cpus_per_worker,
        asked.workers,
        f"{workers}, cluster.cpus_per_worker {asked.cpus_per_worker}",
    )
    if asked.gpu:
        yield "GPU", 1, asked.workers, f"cluster.gpu, {workers}"
        yield "GPU", 1, asked.encoders, f"cluster.gpu, {encoders}"


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


def report(workspace: Workspace, token: str, wanted: Sequence[Want]) -> dict[str, Any]:
    """Of the node that this runs on: its facts, whether it sees what the driver wrote, and what it lacks."""
    result: dict[str, Any] = {"facts": facts(), "seen": False, "error": "", "refused": None, "problems": []}
    try:
        result["seen"] = workspace.read_bytes(PROBES, token) == token.encode()
        if result["seen"]:
            check_root(workspace)
    except (DiskFullError, AccessDeniedError) as error:
        result["refused"] = error
    except Exception as error:  # whatever it is, the driver reports it with the node's name
        result["error"] = str(error) or type(error).__name__
    return result | {"problems": problems_of(wanted)}


def check_nodes(nodes: list[dict[str, Any]], workspace: Workspace, wanted: Sequence[Want] = ()) -> None:
    """Ask each node, by a task on it, for its versions, a file that the driver has just written, and what it lacks.

    Raises:
        ConfigError: one doesn't answer, has other versions, doesn't see the file, or lacks something.
        ShowcasesError: one can't write to the workspace.
    """
    token = secrets.token_hex(8)
    workspace.write_bytes(token.encode(), PROBES, token)
    try:
        here, reports = facts(), ask(nodes, workspace, token, wanted)
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
        if told["refused"] is not None:
            raise type(told["refused"])(f"node {address}: {told['refused']}")
    require({f"node {address}": told["problems"] for address, told in reports.items()})


def ask(
    nodes: list[dict[str, Any]], workspace: Workspace, token: str, wanted: Sequence[Want]
) -> dict[str, dict[str, Any]]:
    """Each node's report, by its address."""
    task = ray.remote(report)
    asked = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": task.options(
            num_cpus=0, max_retries=1, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(workspace, token, wanted)
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
