"""What the hosts reach over the network: an S3 server and MLflow's tracking server, real ones, beside them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from jobs.runner.cluster import ClusterConfig
from jobs.runner.config import CorpusConfig, PipelineConfig
from tests.cluster.hosts import ENDS_WITH_US
from tests.cluster.nodes import BIN, Nodes
from tests.conftest import S3Server, wait_for_port
from tests.quick import quick

CORPUS = "/tmp/corpus"  # on the head
EPOCHS = 3
START_SECONDS = 240.0  # of a server or the cluster, on a machine with much else to do


@contextlib.contextmanager
def server(command: list[str], host: str, port: int, log: Path) -> Iterator[str]:
    """The server's address, once it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen([*ENDS_WITH_US, *command], stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for_port(port, process, log, START_SECONDS, host)
        yield f"http://{host}:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def s3(host: str, folder: Path) -> Iterator[S3Server]:
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", "9000"]
    with server(command, host, 9000, folder / "s3.log") as address:
        yield S3Server(address)


@contextlib.contextmanager
def mlflow(host: str, folder: Path) -> Iterator[str]:
    command = [str(BIN / "mlflow"), "server", "--host", host, "--port", "5000", "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    with server(command, host, 5000, folder / "mlflow.log") as address:
        yield address


def put_corpus(corpus: Path, nodes: Nodes, store: S3Server) -> CorpusConfig:
    """Reviews and labels on the head's own disk, where the driver reads them; photos on S3, where the workers do."""
    import boto3

    folder = nodes.head.path(CORPUS)
    folder.mkdir()
    for name in ("image_review_all.json", "labels.json"):
        (folder / name).write_bytes((corpus / name).read_bytes())
    photos = store.root("corpus", "photos")
    client = boto3.client("s3", endpoint_url=store.endpoint)
    for path in sorted((corpus / "photos").iterdir()):
        client.put_object(Bucket="corpus", Key=f"photos/{path.name}", Body=path.read_bytes())
    return CorpusConfig(f"{CORPUS}/image_review_all.json", photos, f"{CORPUS}/labels.json")


def options() -> PipelineConfig:
    """Small sizes; two processes train together, a node each."""
    config = quick(PipelineConfig(cluster=ClusterConfig(workers=2, cpus_per_worker=2, encoders=2)))
    config = replace(config, fetch_images=replace(config.fetch_images, unit=50))
    selector, generator = config.train_selector, config.train_generator
    return replace(
        config,
        train_selector=replace(selector, loop=replace(selector.loop, epochs=EPOCHS)),
        train_generator=replace(generator, loop=replace(generator.loop, epochs=EPOCHS)),
    )


def write(config: PipelineConfig, file: Path) -> str:
    """The config as a file of this machine, whose content `jobs.submit` sends along."""
    file.write_text(json.dumps(asdict(config)))  # JSON is YAML
    return str(file)
