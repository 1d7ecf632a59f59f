"""What many tests share: one local Ray cluster, one S3 server over real HTTP, one tiny corpus.

The environment is set before anything imports torch, Ray or an AWS client, and their children inherit it.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

os.environ.update(
    AWS_ACCESS_KEY_ID="testing",  # no test may ever reach a real account
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    HF_HUB_OFFLINE="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    RAY_AUTH_MODE="token",
    RAY_AUTH_TOKEN=secrets.token_hex(32),  # in the environment: nothing is written to the home folder
    RAY_USAGE_STATS_ENABLED="0",
    RAY_metrics_report_interval_ms="1000",  # tests need not wait ten seconds for a metric
)
os.environ.pop("AWS_PROFILE", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores as it is

from serve_apps.args import SERVE_ENV  # noqa: E402

os.environ.update(SERVE_ENV)  # the service is tested as `serve_apps.run` runs it

from tests.scheduling import RAY, pytest_xdist_make_scheduler, scope  # noqa: E402, F401 - as a hook
from tests.serve.fixtures import service, spans, tiny_workspace  # noqa: E402, F401 - as fixtures
from tests.skips import SHARED, pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401 - as hooks


@dataclass(frozen=True)
class S3Server:
    """A running S3 server."""

    endpoint: str  # http://127.0.0.1:PORT

    def create_bucket(self, name: str) -> str:
        """Make a bucket, unless it exists, and return its name."""
        import boto3

        boto3.client("s3", endpoint_url=self.endpoint).create_bucket(Bucket=name)
        return name

    def root(self, bucket: str, prefix: str = "workspace") -> str:
        """The URI of a workspace in a bucket, which is made."""
        options = f"endpoint_override={self.endpoint}&scheme=http&region=us-east-1&allow_bucket_creation=true"
        return f"s3://{self.create_bucket(bucket)}/{prefix}?{options}"


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture
def free_ports() -> list[int]:
    """Six free ports for servers that a test starts."""
    return _free_ports(6)


@pytest.fixture(scope="module")
def module_ports() -> list[int]:
    """Six more, for servers that the tests of a module share."""
    return _free_ports(6)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder for Ray: the path of a unix socket has at most 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="sc-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real reviews, photos and models beside the repository; tests that need them skip where they are not."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data at {SHARED}")
    return SHARED


SERVERS = {"s3_server", "chromium", "upstream"}  # fixtures that start a process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort and mark.

    What asks the running service comes after tests/ray: the service holds a CPU of the shared cluster to the end.
    Coverage is that of tests/unit: tracing takes a third of the time of what runs under it.
    """
    for item in items:
        if item.path.parent.name == "distributed" or SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
        if REPOSITORY / "tests" / "unit" not in item.path.parents:
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if scope(item.path.relative_to(REPOSITORY).as_posix()) != RAY:
        return 2
    return int(item.path.parent.name == "docs" and "service" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A local Ray cluster of 4 logical CPUs that all tests marked `ray` share; yields its address."""
    import ray

    from jobs.runner.cluster import LOCAL_TRAIN_ENV, runtime_env

    for name, value in LOCAL_TRAIN_ENV.items():
        os.environ.setdefault(name, value)
    folder = tempfile.mkdtemp(prefix="sc-", dir="/tmp")  # short: a unix socket's path has at most 107 characters
    context = ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=500 * 2**20,
        include_dashboard=False,
        runtime_env=runtime_env() | {"worker_process_setup_hook": "jobs.runner.worker_setup.name_cluster"},
        logging_level="warning",
        _temp_dir=folder,
    )
    yield context.address_info["gcs_address"]
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A moto server in a process of its own, spoken to over HTTP."""
    [port] = _free_ports(1)
    log = tmp_path_factory.mktemp("moto") / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_port(port, process, log)
            yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small generated corpus in the official formats: image_review_all.json and photos/."""
    from showcases_demo import MiniConfig, write_mini

    folder = tmp_path_factory.mktemp("tiny-corpus")
    write_mini(
        folder,
        MiniConfig(restaurants=8, users=40, reviews=160, photos=300, photo_size=64, annotated_reviews=80),
    )
    return folder


def wait_for_port(
    port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60, host: str = "127.0.0.1"
) -> None:
    """Until the process listens there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}:\n{log.read_text()}")
