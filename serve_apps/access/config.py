"""Limits and switches of the protection, with their units; `access` among the args of config.yaml."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from serve_apps.http.cors import checked_origin
from showcases.photos import MAX_PIXELS

Origin = Annotated[str, AfterValidator(checked_origin)]


class Limits(BaseModel):
    """What a request may be. What exceeds it is refused before a handler sees it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_bytes: PositiveInt = 16 * 1024  # names and values of all headers
    target_bytes: PositiveInt = 4 * 1024  # path and query
    json_bytes: PositiveInt = 1024 * 1024
    json_depth: PositiveInt = 16  # objects and lists inside each other
    json_items: PositiveInt = 5_000  # values and names in the whole body
    text_bytes: PositiveInt = 32 * 1024  # the longest string of a JSON body, as sent
    image_bytes: PositiveInt = 8 * 1024 * 1024  # one photo of an upload
    image_pixels: Annotated[int, Field(gt=0, le=MAX_PIXELS)] = (
        MAX_PIXELS  # width times height; the encoder takes no more
    )
    upload_photos: PositiveInt = 20  # of one request
    upload_bytes: PositiveInt = 32 * 1024 * 1024  # body of a request that brings photos
    upload_s: PositiveFloat = 60.0  # as body_s, of those
    uploads_bytes: PositiveInt = 64 * 1024 * 1024  # bodies of all such requests under way, of each gateway process
    body_s: PositiveFloat = 10.0  # from the first look at the body to its last byte
    deadline_s: PositiveFloat = 30.0  # for an answer, where the request asks for no sooner one
    heartbeat_s: PositiveFloat = 10.0  # without an event, until a stream sends a comment


class QueueLimits(BaseModel):
    """How many requests a gateway process works on, and how many wait."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    running: PositiveInt
    waiting: NonNegativeInt


class AccessConfig(BaseModel):
    """Of the gateway's protection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Annotated[str | None, Field(description="Where `serve_apps.keys --root` keeps keys; none: open.")] = None
    redis_url: Annotated[
        str | None,
        Field(pattern=r"^rediss?://", description="Where all gateways count rates and quotas; none: each by itself."),
    ] = None
    host: Annotated[str, Field(description="Where the service listens; an open one elsewhere is warned of.")] = (
        "127.0.0.1"
    )
    refresh_s: Annotated[PositiveFloat, Field(description="A change of keys is seen after so long.")] = 2.0
    stale_s: Annotated[PositiveFloat, Field(description="So long the last known keys count if unreadable.")] = 300.0
    cors_origins: Annotated[tuple[Origin, ...], Field(description="Sites whose pages may call; none: no others.")] = ()
    gzip_from_bytes: Annotated[NonNegativeInt, Field(description="Shorter answers are not compressed; 0: none.")] = 1024
    limits: Limits = Limits()
    arrivals: QueueLimits = QueueLimits(running=2, waiting=30)  # PUTs, which share the Selector with what is asked
