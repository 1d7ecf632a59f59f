"""Ray: connect to a cluster or start a local one, with the runtime environment that workers need."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RpcError,
    WorkerCrashedError,
)

LOCAL_TRAIN_ENV = {  # of Ray Train on one machine
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes this machine away
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",  # a screen is no place for a line a worker and a checkpoint
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # by default 2: a training that has ended would be noticed so late
}
# What tells that a process or a node is gone, and not that anything is wrong with the work.
LOST_ERRORS = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, LocalRayletDiedError, RpcError)
LOST = 75  # exit code of a step that ends so (EX_TEMPFAIL of sysexits.h): another try may do
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ClusterConfig:
    """Where to run.

    Args:
        address: of a running Ray cluster, e.g. auto; none starts one on this machine.
        workers: processes that train together (Ray Train workers).
        cpus_per_worker: cores of each; torch computes with as many threads.
        collective_timeout_s: seconds that a training worker waits for another's gradients before it counts as lost.
            Uploading a checkpoint does not count.
        gpu: give every training worker and every encoder a GPU.
        encoders: actors that encode, classify or generate side by side.
        encoder_threads: of torch in an encoder that has no GPU; 0 shares out all cores of its node.
        price_per_hour: USD for the whole cluster; turns the bill of fetch_images and embed into money.
    """

    address: str | None = None
    workers: int = 1
    cpus_per_worker: int = 1
    collective_timeout_s: int = 120  # Ray's default would hide a lost node for half an hour
    gpu: bool = False
    encoders: int = 1
    encoder_threads: int = 0
    price_per_hour: float | None = None


def runtime_env() -> dict[str, object]:
    """What workers need to find `showcases` and `jobs`."""
    path = os.pathsep.join((str(ROOT / "platform"), str(ROOT)))
    return {"env_vars": {"PYTHONPATH": path}}


@contextlib.contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Be connected to Ray inside the block; ends what it started, never another's cluster."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ  # set by `ray job submit`
    address = config.address or ("auto" if in_job else None)
    environment = None if in_job else runtime_env()
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # it prints every line of a worker twice
    if address is None:
        for name, value in LOCAL_TRAIN_ENV.items():
            os.environ.setdefault(name, value)
        environment = {**runtime_env(), "worker_process_setup_hook": "jobs.quiet.setup"}
    ray.init(
        address=address or "local",
        runtime_env=environment,
        include_dashboard=False if address is None else None,
        log_to_driver=True,
        logging_level=logging.WARNING,
    )
    if not sys.stdout.isatty():  # Ray Data's bars become a log line every few seconds; the steps print their own
        from ray.data import DataContext  # here, since every worker imports this module

        DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()
