"""Limits and authentication settings, with units; `access` in the args of config.yaml."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from serve_apps.http.cors import checked_origin
from showcases.photos import MAX_PIXELS

Origin = Annotated[str, AfterValidator(checked_origin)]


class Limits(BaseModel):
    """Limits of a request; larger requests are refused before they reach a handler."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_bytes: PositiveInt = 16 * 1024  # names and values of all headers together
    target_bytes: PositiveInt = 4 * 1024  # path and query
    json_bytes: PositiveInt = 1024 * 1024
    json_depth: PositiveInt = 16  # nested objects and lists
    json_items: PositiveInt = 5_000  # values and names in the body
    text_bytes: PositiveInt = 32 * 1024  # longest string of a JSON body, encoded
    image_bytes: PositiveInt = 8 * 1024 * 1024  # per photo of an upload
    image_pixels: Annotated[int, Field(gt=0, le=MAX_PIXELS)] = MAX_PIXELS  # width times height; the encoder's own limit
    upload_photos: PositiveInt = 20  # photos per request
    upload_bytes: PositiveInt = 32 * 1024 * 1024  # body of a photo upload
    upload_s: PositiveFloat = 60.0  # like body_s, for photo uploads
    uploads_bytes: PositiveInt = 64 * 1024 * 1024  # bodies of all concurrent photo uploads per gateway process
    body_s: PositiveFloat = 10.0  # to read the whole body
    deadline_s: PositiveFloat = 30.0  # for a response; requests may ask for less
    heartbeat_s: PositiveFloat = 10.0  # idle time after which a stream sends a comment


class QueueLimits(BaseModel):
    """How many requests a gateway process works on, and how many may queue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    running: PositiveInt
    waiting: NonNegativeInt


class AccessConfig(BaseModel):
    """Authentication, CORS, compression and limits of the gateway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Annotated[str | None, Field(description="`--root` of `serve_apps.keys`; none: no keys required.")] = None
    redis_url: Annotated[
        str | None,
        Field(pattern=r"^rediss?://", description="Redis that gateways share for rates and quotas; none: in memory."),
    ] = None
    host: Annotated[str, Field(description="Listening address; used to warn if keys are disabled.")] = "127.0.0.1"
    refresh_s: Annotated[PositiveFloat, Field(description="Delay until a key change takes effect.")] = 2.0
    stale_s: Annotated[PositiveFloat, Field(description="How long cached keys stay valid if unreadable.")] = 300.0
    cors_origins: Annotated[tuple[Origin, ...], Field(description="Origins whose pages may call the API.")] = ()
    gzip_from_bytes: Annotated[NonNegativeInt, Field(description="Least size to compress; 0 disables.")] = 1024
    limits: Limits = Limits()
    arrivals: QueueLimits = QueueLimits(running=2, waiting=30)  # PUTs; they share the Selector with other requests
