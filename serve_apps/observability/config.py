"""Logging and tracing settings; `operations` in the args of config.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class OperationsConfig(BaseModel):
    """Settings of every deployment. Metrics are always on, see `serve_apps.observability.metrics`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log_format: Annotated[Literal["json", "text"], Field(description="Format of Serve's log files.")] = "json"
    otlp_endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://", description="OTLP endpoint, e.g. http://collector:4318/v1/traces; null: no tracing."
        ),
    ] = None
    traced_share: Annotated[
        float, Field(ge=0, le=1, description="Sampling rate of requests without a traceparent.")
    ] = 0.1
