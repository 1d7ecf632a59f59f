"""Encodes units with Ray Data: CPU tasks decode, actors encode and write, both overlapped.

A dataset row is a whole pickled unit, so that Ray Data can't split or merge units. Memory is bounded: Ray Data starts
decoding tasks only while decoded units fit its share of the object store, and an encoder has at most four units queued.
Units of a lost process or node are repeated (Ray Data restarts actors indefinitely), which writes the same file.
"""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import ray

from jobs.runner.cluster import ClusterConfig
from jobs.runner.stream import Tally
from showcases.clip.config import Dtype
from showcases.clip.units import Unit, prepare
from showcases.storage.artifacts import Workspace

UNITS_AT_ONCE = 2  # per encoder: one is encoded while the other is written


def encode(
    units: Sequence[Unit],
    workspace: Workspace,
    image_size: int,
    dtype: Dtype,
    batch_size: int,
    cluster: ClusterConfig,
) -> Iterator[dict[str, Any]]:
    """Encode units; yields each one's figures as it is written, unordered. Starts nothing if there are no units."""
    if not units:
        return
    rows = ray.data.from_items([{"unit": pickle.dumps(unit)} for unit in units], override_num_blocks=len(units))
    uncapped = len(units) + (len(units) == cluster.encoders)  # Ray Data would fuse stages of equal size
    decoders = ray.data.TaskPoolStrategy(size=uncapped)
    prepared = rows.map(_Preparing(workspace, image_size).__call__, compute=decoders, num_cpus=1)
    finished = prepared.map(
        _Encoding,  # type: ignore[arg-type] # a class, instantiated in each actor
        fn_constructor_args=(workspace, dtype, batch_size, device(cluster), threads(cluster)),
        compute=ray.data.ActorPoolStrategy(
            size=cluster.encoders,
            max_concurrent_calls_per_actor=UNITS_AT_ONCE,
            max_tasks_in_flight_per_actor=2 * UNITS_AT_ONCE,
            enable_true_multi_threading=True,
        ),
        **encoder_resources(cluster),
    )
    for row in finished.iter_rows():
        yield pickle.loads(row["result"])


def fast_dtype(cluster: ClusterConfig) -> Dtype:
    """bfloat16 if the encoders' hardware supports it efficiently, else float32."""
    task = ray.remote(_has_fast_bfloat16).options(**encoder_resources(cluster))
    return "bfloat16" if ray.get(task.remote(device(cluster))) else "float32"


def _has_fast_bfloat16(device: str) -> bool:
    from showcases.bfloat16 import has_fast_bfloat16  # local import: the driver doesn't need torch

    return has_fast_bfloat16(device)


def device(cluster: ClusterConfig) -> str:
    return "cuda" if cluster.gpu else "cpu"


def encoder_resources(cluster: ClusterConfig) -> dict[str, Any]:
    """Ray resources of an encoder: a GPU, or a core; 0 if no core would be left for decoding."""
    if cluster.gpu:
        return {"num_gpus": 1, "num_cpus": 1}
    return {"num_cpus": 1 if ray.cluster_resources().get("CPU", 0) > cluster.encoders else 0}


def threads(cluster: ClusterConfig) -> int:
    """Torch threads per encoder; 0 is torch's default.

    Ray sets OMP_NUM_THREADS to an actor's cores (1), which would leave the other cores idle.
    """
    if cluster.gpu or cluster.encoder_threads:
        return cluster.encoder_threads
    nodes = max(1, sum(bool(node["Alive"]) for node in ray.nodes()))
    cores = min((int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"]), default=1)
    return max(1, cores // -(-cluster.encoders // nodes))


def bottleneck(tally: Tally, encoders: int, cpus: float) -> str:
    """The bottleneck stage, by the stages' utilization so far."""
    decoding, encoding = (tally.amounts.get(name, 0.0) for name in ("decode_cpu_s", "encode_s"))
    if not tally.seconds or not encoding:
        return ""
    busy = {"decoding": decoding / (cpus * tally.seconds), "encoding": encoding / (encoders * tally.seconds)}
    shares = ", ".join(f"{stage} {min(share, 1):.0%} busy" for stage, share in busy.items())
    return (
        f"bottleneck: {max(busy, key=lambda s: busy[s])} ({shares}); needs {decoding / encoding:.2f} CPUs per encoder"
    )


class _Preparing:
    def __init__(self, workspace: Workspace, image_size: int) -> None:
        self.workspace, self.image_size = workspace, image_size

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        unit = prepare(pickle.loads(row["unit"]), self.workspace, self.image_size)
        return {"prepared": pickle.dumps(unit, protocol=5)}


class _Encoding:
    def __init__(self, workspace: Workspace, dtype: Dtype, batch_size: int, device: str, threads: int) -> None:
        from showcases.clip.embed import UnitEncoder  # local import: decoding tasks don't need the encoder

        self.encode = UnitEncoder(workspace, batch_size, device, threads, dtype)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": pickle.dumps(self.encode(pickle.loads(row["prepared"])))}


def split_by_artifact(rows: Iterator[dict[str, Any]], units: dict[str, int]) -> dict[str, Iterator[dict[str, Any]]]:
    """Split the result stream into one stream per artifact, to be read one after another.

    Args:
        units: number of units by artifact.
    """
    waiting: dict[str, list[dict[str, Any]]] = {artifact: [] for artifact in units}

    def of(artifact: str) -> Iterator[dict[str, Any]]:
        for _ in range(units[artifact]):
            while not waiting[artifact]:
                row = next(rows)
                waiting[row["artifact"]].append(row)
            yield waiting[artifact].pop()

    return {artifact: of(artifact) for artifact in units}
