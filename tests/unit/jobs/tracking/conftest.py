"""An MLflow server behind a proxy that can be told to fail, and a config that tracks there."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runner.config import PipelineConfig
from jobs.tracking.config import TrackingConfig
from tests import faulty_proxy as proxies
from tests.faulty_proxy import FaultyProxy, faulty_proxy
from tests.mlflow_server import mlflow_server


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an MLflow server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), port) as uri:
        yield uri


@pytest.fixture
def proxy(upstream: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Before the server; spoils nothing until told to."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    monkeypatch.setattr(proxies, "STALL_SECONDS", 0.3)
    with faulty_proxy(upstream) as running:
        yield running


@pytest.fixture
def config(proxy: FaultyProxy, tmp_path: Path) -> PipelineConfig:
    return PipelineConfig(root=str(tmp_path / "ws"), tracking=TrackingConfig(proxy.endpoint, tmp_path.name))
