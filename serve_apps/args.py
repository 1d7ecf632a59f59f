"""Configuration of the service: workspace, registry and model versions."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from serve_apps.access.config import AccessConfig
from serve_apps.observability.config import OperationsConfig
from showcases.generator.config import Precision
from showcases.storage.artifacts import Workspace
from showcases.tracking_db import database_uri

SERVE_ENV = {  # environment of every Ray process of a serving cluster
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # one event loop per process
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",  # gRPC between proxy, gateway and models
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # implied by gRPC, but only needed with HAProxy
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # by default 1,000 buffered lines, lost if a replica dies
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_apps.http.plain_errors:proxy_layers",
    "RAY_worker_niceness": "0",  # default 15: other processes on the machine would starve the service
    "MALLOC_ARENA_MAX": "4",  # malloc arenas: glibc's default of 8 per core lets memory grow
}
Device = Literal["auto", "cpu", "cuda"]  # auto: the GPU assigned to the replica by Ray, else the CPU
HERE = Path(__file__).resolve().parent
CONFIG = HERE / "config.yaml"


class RolloutConfig(BaseModel):
    """How new model versions are rolled out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: Annotated[str, Field(description="Registered model whose versions are bundles (jobs.promote).")] = (
        "showcases-bundle"
    )
    reload_s: Annotated[float, Field(gt=0, description="Interval in s at which aliases are polled.")] = 5.0
    candidate_share: Annotated[float, Field(ge=0, le=1, description="Share of users served by the candidate.")] = 0.0
    candidate_floor: Annotated[float, Field(ge=0, le=1, description="Least CLIP-Align relative to the champion's.")] = (
        0.9
    )
    candidate_max_errors: Annotated[
        float, Field(ge=0, le=1, description="Allowed error rate above the champion's.")
    ] = 0.05
    candidate_least: Annotated[int, Field(ge=2, description="Calls before the candidate is evaluated.")] = 50
    window: Annotated[int, Field(ge=2, description="Most recent calls evaluated, per bundle.")] = 500


class ShowcaseArgs(BaseModel):
    """Arguments of `build_app`, the same for `serve deploy` and `python -m serve_apps.run`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Annotated[str, Field(description="Workspace: a folder, or s3://bucket/prefix.")] = "workspace"
    tracking_uri: Annotated[str | None, Field(description="MLflow URI; default: the workspace's sqlite file.")] = None
    selector: Annotated[str, Field(description="Registered model that selects photos.")] = "showcases-selector"
    generator: Annotated[str, Field(description="Registered model that writes texts.")] = "showcases-generator"
    alias: Annotated[str, Field(description="Alias to serve, of the bundle or of both models.")] = "champion"
    # Defaults of the following are those of config.yaml.
    device: Device = Field(default_factory=lambda: _configured("device"), validate_default=True)
    precision: Precision = Field(default_factory=lambda: _configured("precision"), validate_default=True)
    catalog_keep_bytes: int = Field(
        default_factory=lambda: _configured("catalog_keep_bytes"),
        ge=0,
        description="LRU cache of catalog rows, in each process.",
    )
    access: AccessConfig = Field(default_factory=lambda: AccessConfig(**_configured("access")))
    rollout: RolloutConfig = Field(default_factory=lambda: RolloutConfig(**_configured("rollout")))
    operations: OperationsConfig = Field(default_factory=lambda: OperationsConfig(**_configured("operations")))

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    @property
    def registry_uri(self) -> str:
        """MLflow's URI; default: the workspace's database, whose paths are repaired if the workspace was moved.

        Raises:
            ConfigError: the workspace was moved, and its database can't be written.
        """
        return database_uri(self.root, self.tracking_uri)


def deployment_options(name: str, num_gpus: float | None = None) -> dict[str, Any]:
    """Options of one deployment from `config.yaml`, the same for every way to start the service.

    Args:
        num_gpus: GPUs per replica, 0 or more, e.g. 0.5; default from the file.
    """
    found = next(options for options in _application()["deployments"] if options["name"] == name)
    options = {key: value for key, value in found.items() if key != "name"}
    if num_gpus is not None:
        options["ray_actor_options"] = options["ray_actor_options"] | {"num_gpus": num_gpus}
    return options


def runtime_env() -> dict[str, Any]:
    """Environment that lets Serve's processes import our packages, and disables telemetry."""
    root = HERE.parent
    return {
        "env_vars": {
            "PYTHONPATH": os.pathsep.join((str(root / "platform"), str(root))),
            "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "0"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
    }


def _configured(name: str) -> Any:
    """An argument of `build_app` from `config.yaml`."""
    return _application()["args"][name]


def _application() -> dict[str, Any]:
    (application,) = yaml.safe_load(CONFIG.read_text())["applications"]
    return dict(application)
