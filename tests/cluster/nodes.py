"""A Ray cluster on such hosts: a head that takes no work and workers that come and go; jobs are sent to it."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.hosts import Host, Network

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
STORE = 300 * 2**20  # bytes of a node's object store
CPUS = 2  # declared by each worker node
CODE = tuple(REPOSITORY / name for name in ("platform", "jobs", "tuning", "serve_apps", "tests"))


def environment() -> dict[str, str]:
    """Of a shell with the virtual environment active, without this repository on its path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RAY_ADDRESS", "PWD")}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@dataclass
class Nodes:
    """The cluster.

    Attributes:
        workers: nodes that are meant to be there.
    """

    network: Network
    head: Host
    workers: list[Host] = field(default_factory=list)

    @property
    def dashboard(self) -> str:
        return f"http://{self.head.address}:8265"

    def outside(self) -> dict[str, str]:
        """The environment of whoever sends jobs from this machine."""
        return environment() | {"RAY_API_SERVER_ADDRESS": self.dashboard}

    def add_worker(self) -> Host:
        """A new node on a new host; it joins while this goes on."""
        host = _ray(self.network, f"--address={self.head.address}:6379", f"--num-cpus={CPUS}")
        self.workers.append(host)
        return host

    def replace_lost(self) -> None:
        """A new worker for each that has ended."""
        for host in [host for host in self.workers if not host.alive()]:
            self.workers.remove(host)
            self.add_worker()

    def ask(self, path: str) -> Any:
        """The dashboard's answer."""
        headers = {"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
        with urllib.request.urlopen(urllib.request.Request(self.dashboard + path, headers=headers), timeout=30) as told:
            return json.loads(told.read())

    def alive(self) -> int:
        """Nodes that Ray takes for alive."""
        nodes = self.ask("/api/v0/nodes?limit=1000")["data"]["result"]["result"]
        return sum(node["state"] == "ALIVE" for node in nodes)

    def wait(self, seconds: float = 240) -> None:
        """Until the head and all workers are there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.head.alive():
            with contextlib.suppress(urllib.error.URLError, OSError):
                if self.alive() == 1 + len(self.workers):
                    return
            time.sleep(0.5)
        logs = "".join(path.read_text()[-2000:] for path in sorted(self.network.logs.glob("*.log")))
        raise RuntimeError(f"the cluster did not come up:\n{logs}")


def cluster(network: Network, workers: int) -> Nodes:
    """A head and so many workers; they end with the network."""
    head = _ray(network, "--head", "--port=6379", "--num-cpus=0", f"--dashboard-host={network.next_address()}")
    nodes = Nodes(network, head)
    for _ in range(workers):
        nodes.add_worker()
    return nodes


def _ray(network: Network, *options: str) -> Host:
    own = (f"--node-ip-address={network.next_address()}", f"--object-store-memory={STORE}")
    return network.add([str(BIN / "ray"), "start", "--block", *own, *options], environment(), CODE)


@dataclass
class Job:
    """A job on the cluster, and what it has printed so far, read on the head where it runs.

    Attributes:
        earlier: logs of the jobs before it.
    """

    nodes: Nodes
    process: subprocess.Popen[str]
    earlier: set[Path]

    def log(self) -> str:
        own = job_logs(self.nodes.head) - self.earlier
        return "".join(path.read_text(errors="replace") for path in sorted(own))


def job_logs(head: Host) -> set[Path]:
    folder = os.readlink(head.path("/tmp/ray/session_latest"))  # absolute, as seen within the host
    return set(head.path(f"{folder}/logs").glob("job-driver-*.log"))


def submit(nodes: Nodes, name: str, *arguments: str) -> Job:
    """Send a step by `jobs.submit`, as README has it; what that prints lies in NAME.out among the logs."""
    command = [sys.executable, "-m", "jobs.submit", "--retries", "3", *arguments]
    earlier = job_logs(nodes.head)
    with (nodes.network.logs / f"{name}.out").open("w") as told:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=nodes.outside(), text=True, stdout=told, stderr=told)
    return Job(nodes, process, earlier)
