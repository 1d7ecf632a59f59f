"""serve_apps.compat against a Ray of its own; `export_zero` is tested by what a service exports."""

import subprocess
import sys

import pytest

from benchmarks.service import free_port
from serve_apps.compat import export_port

pytestmark = pytest.mark.ray


def test_a_free_port_needs_no_option() -> None:
    assert export_port(0) == {}


def test_metrics_are_exported_at_the_port_asked_for() -> None:
    port = free_port()
    code = f"""
import ray
from serve_apps.compat import export_port
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, **export_port({port}))
print("port", ray.nodes()[0]["MetricsExportPort"])
ray.shutdown()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert f"port {port}" in done.stdout.splitlines(), done.stderr[-2000:]
