"""A workspace on S3 behind a proxy that can be told to fail."""

from collections.abc import Iterator
from typing import Any

import pytest

from showcases.storage.artifacts import Workspace
from tests.faulty_proxy import FaultyProxy, faulty_proxy


@pytest.fixture(scope="session")
def s3_bucket(s3_server: Any) -> str:
    """A bucket of the S3 server that stands behind the proxy."""
    return s3_server.create_bucket("behind-a-proxy")


@pytest.fixture
def proxy(s3_server: Any) -> Iterator[FaultyProxy]:
    """Before the S3 server; spoils nothing until told to."""
    with faulty_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def behind(proxy: FaultyProxy, s3_bucket: str, request: pytest.FixtureRequest) -> Workspace:
    """A workspace behind the proxy, at a prefix of its own; a request is tried twice."""
    prefix = request.node.name.replace("[", "-").replace("]", "")
    return Workspace(proxy.root(s3_bucket, prefix, "max_attempts=2"))
