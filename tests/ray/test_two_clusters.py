"""Two local clusters on one machine: what runs in one finds that one."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray
SCRIPT = """
import ray
from jobs.runner import cluster

def found():
    # Where Ray's state API looks, which Ray Train's PlacementGroupCleaner asks; it raises where it finds two clusters.
    from ray._private.services import canonicalize_bootstrap_address_or_die
    return canonicalize_bootstrap_address_or_die(None)

with cluster.connected(cluster.ClusterConfig()):
    own = ray.get_runtime_context().gcs_address
    assert own != OTHER
    print("found", ray.get(ray.remote(found).remote()) == own)
"""


def test_a_worker_finds_its_own_cluster_beside_another(ray_cluster: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("OTHER", repr(ray_cluster))], capture_output=True, text=True, timeout=300
    )
    assert "found True" in ended.stdout, ended.stdout + ended.stderr
