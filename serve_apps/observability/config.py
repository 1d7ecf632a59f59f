"""What is logged and traced; `operations` among the args of config.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class OperationsConfig(BaseModel):
    """Of every deployment. Metrics are always there, see `serve_apps.observability.metrics`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log_format: Annotated[Literal["json", "text"], Field(description="Of the lines in Serve's log files.")] = "json"
    otlp_endpoint: Annotated[
        str | None,
        Field(
            pattern=r"^https?://", description="Where spans go, e.g. http://collector:4318/v1/traces; null: nowhere."
        ),
    ] = None
    traced_share: Annotated[
        float, Field(ge=0, le=1, description="Of requests without a traceparent; with one, the caller has decided.")
    ] = 0.1
