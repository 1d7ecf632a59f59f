"""Connects to a Ray cluster or starts a local one, with the runtime environment that workers need."""

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

LOCAL_TRAIN_ENV = {  # for Ray Train on one machine
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a local machine isn't preempted
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",  # too verbose for a terminal
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # default 2: delays the end of every training
}
CONNECT_SECONDS = 10.0  # connect timeout
SOCKET_PATH_LIMIT = 107  # max bytes of a unix socket path
LONGEST_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"  # below Ray's temporary folder
TEMP_BYTES = 50 * 2**20  # needed for Ray's logs and sockets
CONNECTING = (  # substrings of Ray's errors, and an explanation
    ("Version mismatch", "this process and the cluster have different versions of Ray or Python ({message}). Use the "
     "packages of constraints.txt on both, or send the code there: `python -m jobs.submit`"),
    ("uthenticat", "the cluster rejects the token ({message}). Set RAY_AUTH_MODE=token and the cluster's own "
     "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or leave out --cluster.address"),
    ("Could not find any running Ray instance", "no Ray cluster runs on this machine. Start one (`ray start --head`), "
     "name another with --cluster.address HOST:PORT, or omit the option to start a local one"),
)  # fmt: skip
LONGEST_REASON = 400  # max characters of Ray's message
ROOT = Path(__file__).resolve().parents[2]


class RayStartError(ShowcasesError):
    """Ray didn't start, or the cluster can't be reached; a retry may succeed."""

    exit_code = UNAVAILABLE


@dataclass(frozen=True)
class ClusterConfig:
    """Where to run.

    Args:
        address: of a running Ray cluster, e.g. auto; none starts a local one.
        workers: Ray Train workers (data-parallel processes).
        cpus_per_worker: CPU cores and torch threads per worker.
        collective_timeout_s: seconds a training worker waits for another's gradients before that one counts as lost.
            Checkpoint uploads don't count.
        gpu: assign a GPU to every training worker and encoder.
        encoders: parallel actors that encode, classify or generate.
        encoder_threads: torch threads per encoder without a GPU; 0 divides the node's cores among encoders.
        price_per_hour: USD for the whole cluster; adds costs in USD to fetch_images and embed.
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
    """Environment that lets workers import `showcases` and `jobs`."""
    path = os.pathsep.join((str(ROOT / "platform"), str(ROOT)))
    return {"env_vars": {"PYTHONPATH": path}}


def own_address() -> dict[str, object] | None:
    """Environment with the cluster's address for a job's workers, unless the job sets one."""
    address, config = os.environ.get("RAY_ADDRESS"), os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")
    return {"env_vars": {"RAY_ADDRESS": address}} if address and '"RAY_ADDRESS"' not in config else None


def is_one_machine(config: ClusterConfig) -> bool:
    """Whether `connected` uses a local Ray."""
    return config.address is None and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ


def temp_folder() -> Path:
    """Folder of a local Ray's logs, sockets and spilled objects."""
    return Path(get_default_ray_temp_dir())


def check_start(config: ClusterConfig) -> None:
    """Check, in milliseconds, that Ray can be started on this machine, or that the cluster's port answers.

    Raises:
        ShowcasesError: its temporary folder is full, not writable or has too long a path; or the port is closed.
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
            f"{folder}: too long for Ray's socket paths: {length} bytes, the limit is {SOCKET_PATH_LIMIT}. "
            "Set RAY_TMPDIR to a shorter folder, e.g. /tmp"
        )
    check_folder(folder, TEMP_BYTES, "Ray's temporary folder, set by RAY_TMPDIR or TMPDIR")


def check_port(address: str) -> None:
    """Check that a cluster's HOST:PORT accepts connections; other forms of address are left to Ray.

    Raises:
        RayStartError: it doesn't.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise RayStartError(
            f"no Ray cluster answers at {address} ({error.strerror or error}). Check `ray status` "
            "there, and firewalls; --cluster.address HOST:PORT names another, without it a local one is started"
        ) from error


@contextlib.contextmanager
def explained_start(address: str | None) -> Iterator[None]:
    """Translate Ray's startup and connection errors into one line.

    Raises:
        RayStartError: a retry may succeed.
        ShowcasesError: the disk is full, a folder isn't writable, or versions or tokens differ.
    """
    try:
        yield
    except Exception as error:  # Ray also raises built-in exceptions
        message = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
        for words, meaning in CONNECTING:
            if words in message:
                raise ConfigError(f"Ray: {meaning.format(message=message)}") from error
        if (found := system_error_in(error)) is not None:
            raise found from error
        if address is not None:
            raise RayStartError(
                f"the Ray cluster at {address} can't be joined: {message}. `ray status` there shows whether it is up"
            ) from error
        raise RayStartError(
            f"Ray did not start on this machine: {message}. Usual causes: no free memory (`free -m`), no room in "
            f"{temp_folder()} or /dev/shm (`df -h`), or a limit on processes (`ulimit -u`). Its logs are in "
            f"{temp_folder()}/session_latest/logs; RAY_TMPDIR names another folder"
        ) from error


@contextlib.contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Connect to Ray for the block; stops Ray afterwards only if it was started here.

    Raises:
        ShowcasesError: Ray didn't start, or can't be reached.
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
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # it duplicates worker output
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
    if not sys.stdout.isatty():  # progress bars become log lines; the steps log their own progress
        from ray.data import DataContext  # local import: every worker imports this module

        DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()
