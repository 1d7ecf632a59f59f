"""Tracking configuration; doesn't import MLflow."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from showcases.tracking_db import database_file, database_uri

if TYPE_CHECKING:
    from jobs.runner.config import PipelineConfig


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs and models are tracked.

    Args:
        uri: of the MLflow tracking server; none uses a sqlite file in the workspace, or in the working directory if the
            workspace is on S3.
        experiment: name of the MLflow experiment.
    """

    uri: str | None = None
    experiment: str = "showcases"


def tracking_uri(config: "PipelineConfig") -> str:
    """MLflow's URI: the configured one, else `tracking_db.database_uri`; creates its folder.

    Raises:
        ConfigError: the workspace was moved, and its database isn't writable.
    """
    if not config.tracking.uri:
        database_file(config.root).parent.mkdir(parents=True, exist_ok=True)
    return database_uri(config.root, config.tracking.uri)
