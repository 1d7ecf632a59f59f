"""Where runs and models are tracked; without MLflow, so that a config can be read without it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from showcases.tracking_db import database_file, database_uri

if TYPE_CHECKING:
    from jobs.runner.config import PipelineConfig


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs and models are tracked.

    Args:
        uri: of the MLflow tracking server; none keeps a sqlite file beside the workspace's artifacts, in the working
            folder where the workspace is on S3.
        experiment: name of the MLflow experiment.
    """

    uri: str | None = None
    experiment: str = "showcases"


def tracking_uri(config: "PipelineConfig") -> str:
    """MLflow's URI: the one given, else `tracking_db.database_uri`'s, whose folder is made.

    Raises:
        ConfigError: the workspace was moved, and its database can't be written.
    """
    if not config.tracking.uri:
        database_file(config.root).parent.mkdir(parents=True, exist_ok=True)
    return database_uri(config.root, config.tracking.uri)
