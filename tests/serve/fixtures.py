"""What the tests of the service and of its page share: one workspace, one running service a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from showcases.storage.artifacts import Workspace
from tests.serve.otlp_receiver import Receiver, receive


@pytest.fixture(scope="session")
def tiny_workspace(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with all that serving reads."""
    from tests.serve.tiny_service import shared_workspace  # torch, Ray and MLflow: not for every run of a test

    return shared_workspace(tmp_path_factory.mktemp("served"), tiny_corpus)


@pytest.fixture(scope="session")
def spans() -> Iterator[Receiver]:
    """Where the service sends its spans."""
    receiver, server = receive()
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def service(ray_cluster: str, tiny_workspace: Workspace, spans: Receiver) -> Iterator[str]:
    """The URL of the service, running on the shared cluster."""
    from serve_apps.args import RolloutConfig, ShowcaseArgs
    from serve_apps.observability.config import OperationsConfig
    from serve_apps.run import serving

    rollout = RolloutConfig(reload_s=1, candidate_share=0.5, candidate_max_errors=1)
    operations = OperationsConfig(otlp_endpoint=spans.endpoint, traced_share=0)  # only what comes with a traceparent
    args = ShowcaseArgs(root=tiny_workspace.root, rollout=rollout, operations=operations)
    with serving(args, port=0) as url:
        yield url
