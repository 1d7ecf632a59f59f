"""Ray: connect to a cluster or start a local one, with the runtime environment that workers need."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
from ray._common.utils import get_default_ray_temp_dir

from jobs.runner.exits import UNAVAILABLE
from showcases.errors import ConfigError, ShowcasesError
from showcases.system_errors import check_folder, system_error_in

LOCAL_TRAIN_ENV = {  # of Ray Train on one machine
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes this machine away
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",  # a screen is no place for a line a worker and a checkpoint
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # by default 2: a training that has ended would be noticed so late
}
CONNECT_SECONDS = 10.0  # for a cluster's port to answer
SOCKET_PATH_LIMIT = 107  # bytes of a unix socket's path
LONGEST_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"  # below Ray's temporary folder
TEMP_BYTES = 50 * 2**20  # for Ray's logs and sockets
CONNECTING = (  # words of Ray's errors: what they mean, what to do
    ("Version mismatch", "this process and the cluster have different versions of Ray or Python ({said}). Use the "
     "packages of constraints.txt on both, or send the code there: `python -m jobs.submit`"),
    ("uthenticat", "the cluster refuses the token ({said}). Set RAY_AUTH_MODE=token and the cluster's own "
     "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or leave out --cluster.address"),
    ("Could not find any running Ray instance", "no Ray cluster runs on this machine. Start one (`ray start --head`), "
     "name another with --cluster.address HOST:PORT, or leave the option out: a local one is started then"),
)  # fmt: skip
LONGEST_REASON = 400  # characters of what Ray says
ROOT = Path(__file__).resolve().parents[2]


class RayStartError(ShowcasesError):
    """Ray did not start, or its cluster can't be reached; another try may work."""

    exit_code = UNAVAILABLE


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


def own_address() -> dict[str, object] | None:
    """For the workers of a job: its cluster's address, unless the job's own environment names one."""
    address, config = os.environ.get("RAY_ADDRESS"), os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")
    return {"env_vars": {"RAY_ADDRESS": address}} if address and '"RAY_ADDRESS"' not in config else None


def is_one_machine(config: ClusterConfig) -> bool:
    """Whether `connected` starts Ray on this machine, or has done so."""
    return config.address is None and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ


def temp_folder() -> Path:
    """Where a local Ray keeps logs, sockets, and objects that exceed its memory."""
    return Path(get_default_ray_temp_dir())


def check_start(config: ClusterConfig) -> None:
    """Check, in milliseconds, that Ray can be started on this machine, or that the cluster's port answers.

    Raises:
        ShowcasesError: its temporary folder is full, may not be written to, or has too long a path; nobody answers.
    """
    if ray.is_initialized():
        return
    if not is_one_machine(config):
        check_port(config.address or "auto")
        return
    folder = temp_folder()
    length = len(os.fsencode(str(folder / LONGEST_SOCKET)))
    if length > SOCKET_PATH_LIMIT:
        raise ConfigError(
            f"{folder}: too long for Ray, whose sockets lie below it: {length} bytes, {SOCKET_PATH_LIMIT} are allowed. "
            "Set RAY_TMPDIR to a shorter folder, e.g. /tmp"
        )
    check_folder(folder, TEMP_BYTES, "Ray's temporary folder, set by RAY_TMPDIR or TMPDIR")


def check_port(address: str) -> None:
    """Check that somebody listens at a cluster's HOST:PORT; any other form of address is left to Ray.

    Raises:
        RayStartError: nobody does.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise RayStartError(
            f"no Ray cluster answers at {address} ({error.strerror or error}). Is it up (`ray status`), and does no "
            "firewall lie between? --cluster.address HOST:PORT names another; without it a local one is started"
        ) from error


@contextlib.contextmanager
def explained_start(address: str | None) -> Iterator[None]:
    """Turn what Ray raises if it can't start, or can't be reached, into one line.

    Raises:
        RayStartError: it may work at another time.
        ShowcasesError: the disk is full, a folder may not be written to, or versions or tokens differ.
    """
    try:
        yield
    except Exception as error:  # Ray raises plain ones, too
        said = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
        for words, meaning in CONNECTING:
            if words in said:
                raise ConfigError(f"Ray: {meaning.format(said=said)}") from error
        if (found := system_error_in(error)) is not None:
            raise found from error
        if address is not None:
            raise RayStartError(
                f"the Ray cluster at {address} can't be joined: {said}. `ray status` there shows whether it is up"
            ) from error
        raise RayStartError(
            f"Ray did not start on this machine: {said}. Usual causes: no free memory (`free -m`), no room in "
            f"{temp_folder()} or /dev/shm (`df -h`), or a limit on processes (`ulimit -u`). Its logs are in "
            f"{temp_folder()}/session_latest/logs; RAY_TMPDIR names another folder"
        ) from error


@contextlib.contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Be connected to Ray inside the block; ends what it started, never another's cluster.

    Raises:
        ShowcasesError: Ray did not start, or can't be reached.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ  # set by `ray job submit`
    address = config.address or ("auto" if in_job else None)
    environment = (
        own_address()
        if in_job
        else runtime_env() | {"worker_process_setup_hook": "jobs.runner.worker_setup.name_cluster"}
    )
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # it prints every line of a worker twice
    if address is None:
        for name, value in LOCAL_TRAIN_ENV.items():
            os.environ.setdefault(name, value)
        environment = {**runtime_env(), "worker_process_setup_hook": "jobs.runner.worker_setup.setup"}
    with explained_start(address):
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
