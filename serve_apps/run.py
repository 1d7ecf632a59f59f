"""`python -m serve_apps.run --root WORKSPACE`: runs the service on a local Ray in the foreground, until Ctrl-C."""

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from serve_apps.access.protect import startup_warnings
from serve_apps.args import SERVE_ENV, Device, ShowcaseArgs, runtime_env
from serve_apps.compat import export_port
from serve_apps.http.cors import checked_origin
from showcases.errors import ConfigError, ShowcasesError
from showcases.generator.config import Precision

APP = "showcases"


@contextlib.contextmanager
def serving(
    args: ShowcaseArgs,
    host: str = "127.0.0.1",
    port: int = 8000,
    metrics_port: int = 0,
    num_gpus: float | None = None,
) -> Iterator[str]:
    """Serve inside the block; yields the base URL once the service is ready.

    Starts Ray unless this process is already connected, and shuts down only what it started.

    Args:
        port: 0 takes a free one.
        metrics_port: metrics port of the Ray it starts; 0 takes a free one.
        num_gpus: GPUs per replica of each model; default from config.yaml.

    Raises:
        ConfigError: the port is in use, Serve already runs on this cluster, or it has too few GPUs.
        ArtifactError: the workspace has no catalog.
        ModelError: a model is missing, or the parts don't match.
    """
    port = _free(host, port)
    args.workspace.require("catalog")  # fail before the slow start
    with _ray(metrics_port):
        from ray import serve  # here: it reads SERVE_ENV when it is imported

        from serve_apps.app import build_app

        _require_gpus(num_gpus or 0)
        if serve.status().proxies:
            raise ConfigError("Ray Serve already runs on this cluster, on its own port: use `serve deploy` there")
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        application = build_app(args, num_gpus)
        quiet = {"log_level": "WARNING", "enable_access_log": False}
        serve.start(http_options={"host": host, "port": port}, logging_config=quiet)
        try:
            serve.run(application, name=APP, route_prefix="/", logging_config=quiet)
            url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
            _require_ready(url)
            yield url
        finally:
            serve.shutdown()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m serve_apps.run", description=__doc__)
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="MLflow URI (default: the workspace's sqlite file)")
    parser.add_argument(
        "--keys", help="where API keys are stored (serve_apps.keys --root); by default no key is required"
    )
    parser.add_argument(
        "--cors-origin", action="append", default=[], help="origin whose pages may call the API; repeatable"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    parser.add_argument("--metrics-port", type=int, default=0, help="port of the metrics; 0 takes a free one")
    parser.add_argument(
        "--device", choices=get_args(Device), help="device of the models; auto: the GPU of --num-gpus, else the CPU"
    )
    parser.add_argument("--num-gpus", type=float, help="GPUs per replica of each model, e.g. 0.5")
    parser.add_argument("--precision", choices=get_args(Precision), help="precision of the generator's decoder")
    options = parser.parse_args(argv)
    models = {"device": options.device, "precision": options.precision}
    args = ShowcaseArgs(
        root=options.root,
        tracking_uri=options.tracking_uri,
        **{name: value for name, value in models.items() if value},
    )
    chosen: dict[str, Any] = {"host": options.host} | ({"keys": options.keys} if options.keys else {})
    try:
        chosen |= {"cors_origins": tuple(map(checked_origin, options.cors_origin))} if options.cors_origin else {}
    except ValueError as error:
        parser.error(f"--cors-origin: {error}")
    args = args.model_copy(update={"access": args.access.model_copy(update=chosen)})
    for line in startup_warnings(args.access):
        print(f"warning: {line}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both stop it cleanly during startup
    try:
        with serving(args, options.host, options.port, options.metrics_port, options.num_gpus) as url:
            ended = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: ended.set())
            print(f"showcases at {url}  (interface: {url}/docs; Ctrl-C to stop)", flush=True)
            print(f"metrics at {metrics_url()}", flush=True)
            ended.wait()
            print("stopping", flush=True)
    except KeyboardInterrupt:
        print("stopped during startup", file=sys.stderr, flush=True)
        raise SystemExit(130) from None
    except ShowcasesError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error


def metrics_url() -> str:
    """Where this node's processes export their metrics."""
    import ray

    node = ray.nodes()[0]
    return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"


def _require_gpus(wanted: float) -> None:
    """Check the GPUs up front: replicas that fit no node would wait forever."""
    import ray

    there = ray.cluster_resources().get("GPU", 0)
    if 2 * wanted > there:
        raise ConfigError(
            f"--num-gpus {wanted:g}: Selector and Generator need {2 * wanted:g} GPUs in total, this cluster has "
            f"{there:g}"
        )


@contextlib.contextmanager
def _ray(metrics_port: int) -> Iterator[None]:
    """Be connected to Ray inside the block."""
    import ray

    if ray.is_initialized():
        yield
        return
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **SERVE_ENV}.items():
        os.environ.setdefault(name, value)
    ray.init(
        address="local",
        include_dashboard=False,
        runtime_env=runtime_env(),
        logging_level=logging.WARNING,
        **export_port(metrics_port),
    )
    try:
        yield
    finally:
        ray.shutdown()


def _free(host: str, port: int) -> int:
    """The port if it is available; a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} is not available ({error}); choose another --port") from error
        return int(probe.getsockname()[1])


def _require_ready(url: str) -> None:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=30):
            return
    except (urllib.error.URLError, OSError) as error:
        raise ConfigError(f"{url}/readyz: the service started but is not ready: {error}") from error


if __name__ == "__main__":
    main()
