"""What the service is built from: where the workspace and the registry are, and which versions of the models."""

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

SERVE_ENV = {  # of every process of Ray on a serving cluster, set before it starts
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # one event loop a process
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",  # and calls by gRPC, the proxy's too
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # which that would switch on, and only HAProxy needs
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # it would keep a thousand lines back, and lose them with a replica
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_apps.http.plain_errors:proxy_layers",
    "RAY_worker_niceness": "0",  # by default 15: whatever else runs on the machine would starve the service
    "MALLOC_ARENA_MAX": "4",  # heaps of a process: with glibc's eight a core its memory creeps up for many minutes
}
Device = Literal["auto", "cpu", "cuda"]  # of the models; auto: the GPU that Ray gave a replica, or else the CPU
HERE = Path(__file__).resolve().parent
CONFIG = HERE / "config.yaml"


class RolloutConfig(BaseModel):
    """How versions change while requests come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: Annotated[str, Field(description="Registered model whose versions are bundles; see jobs.promote.")] = (
        "showcases-bundle"
    )
    reload_s: Annotated[float, Field(gt=0, description="Between two looks at the registry's aliases.")] = 5.0
    candidate_share: Annotated[float, Field(ge=0, le=1, description="Of requests, answered by the candidate.")] = 0.0
    candidate_floor: Annotated[float, Field(ge=0, le=1, description="Of the champion's mean CLIP-Align.")] = 0.9
    candidate_max_errors: Annotated[
        float, Field(ge=0, le=1, description="Share of failed calls that it may have above the champion's.")
    ] = 0.05
    candidate_least: Annotated[int, Field(ge=2, description="Calls of it before it is judged.")] = 50
    window: Annotated[int, Field(ge=2, description="Calls looked at, the newest of each.")] = 500


class ShowcaseArgs(BaseModel):
    """Arguments of `build_app`, the same for `serve deploy` and `python -m serve_apps.run`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Annotated[str, Field(description="Workspace: a folder, or s3://bucket/prefix.")] = "workspace"
    tracking_uri: Annotated[str | None, Field(description="Of MLflow; by default jobs' sqlite file.")] = None
    selector: Annotated[str, Field(description="Registered model that selects photos.")] = "showcases-selector"
    generator: Annotated[str, Field(description="Registered model that writes.")] = "showcases-generator"
    alias: Annotated[str, Field(description="Which version is served, of the bundle or else of both.")] = "champion"
    # What follows is by default as config.yaml has it.
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
        """MLflow's URI; by default that of the workspace's own database, repaired where the workspace was moved.

        Raises:
            ConfigError: the workspace was moved, and its database can't be written.
        """
        return database_uri(self.root, self.tracking_uri)


def deployment_options(name: str, num_gpus: float | None = None) -> dict[str, Any]:
    """Options of one deployment as `config.yaml` has them, so that every way to start the service reads one file.

    Args:
        num_gpus: of each replica, 0 or more, e.g. 0.5; by default the file's.
    """
    found = next(options for options in _application()["deployments"] if options["name"] == name)
    options = {key: value for key, value in found.items() if key != "name"}
    if num_gpus is not None:
        options["ray_actor_options"] = options["ray_actor_options"] | {"num_gpus": num_gpus}
    return options


def runtime_env() -> dict[str, Any]:
    """What Serve's processes need to find `showcases` and `serve_apps`, and not to talk to anybody."""
    root = HERE.parent
    return {
        "env_vars": {
            "PYTHONPATH": os.pathsep.join((str(root / "platform"), str(root))),
            "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "0"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
    }


def _configured(name: str) -> Any:
    """An argument of `build_app` as `config.yaml` has it."""
    return _application()["args"][name]


def _application() -> dict[str, Any]:
    (application,) = yaml.safe_load(CONFIG.read_text())["applications"]
    return dict(application)
