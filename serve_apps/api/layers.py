"""The layers around a request, outermost first; nothing else wraps it.

1. Serve's HTTP proxy, a process on every node, with one layer of ours:
   `http.plain_errors.PlainErrors`: errors of Serve itself become problem responses; a lost gateway becomes 503 with
   Retry-After. Serve's proxy can only be extended through an environment variable, so this layer does as little as
   possible.
2. The Gateway's bound, in config.yaml: a replica works on `max_ongoing_requests`, `max_queued_requests` wait in each
   proxy, and the proxy answers any more with 503.
3. The gateway's layers: the lists below.
4. The route's handler, which calls the Selector, then the Generator.
5. `deployments.retries`: one retry if a replica is lost; safe because all calls are reads. Nothing else retries.
6. The model's bound, in config.yaml: a replica works on `max_ongoing_requests`, `max_queued_requests` wait in each
   gateway, and any more raises Serve's BackPressureError: 503, or photos without text if it is the Generator.
7. `deployments.batching`: requests that arrive while a batch is computed form the next batch.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from serve_apps.access.authenticate import Authenticate
from serve_apps.access.body import Body
from serve_apps.access.config import AccessConfig
from serve_apps.access.deadline import Deadline
from serve_apps.access.front import Front
from serve_apps.access.keyring import KeyRing
from serve_apps.access.limits import KeyLimiter
from serve_apps.access.protect import log_startup_warnings
from serve_apps.access.store import KeyStore
from serve_apps.http.compression import Compress
from serve_apps.http.cors import cross_origin
from serve_apps.http.heads import Head
from serve_apps.http.idempotency import Idempotency
from serve_apps.http.validators import Validators
from serve_apps.observability import logs
from serve_apps.observability.observe import Observe
from showcases.storage.artifacts import Workspace


def gateway_layers(api: FastAPI, backend: Any, access: AccessConfig) -> list[Middleware]:
    """All layers of the gateway, outermost first.

    Raises:
        ConfigError: the package for access.redis_url is missing.
        KeyStoreError: a file in the key store is not a key.
        ObjectStoreError: the key store can't be read.
    """
    compress = [Middleware(Compress, least_bytes=access.gzip_from_bytes)] if access.gzip_from_bytes else []
    return [
        Middleware(Observe, api=api, backend=backend),  # a span, a log line and metrics of refused requests too
        Middleware(Head),  # answers HEAD as GET; before the rest, which only handle GET
        *cross_origin(
            access.cors_origins
        ),  # before authentication: preflights carry no key, and error responses need CORS headers
        *protection(access),
        Middleware(Validators),  # ETags, 304, and 412 for conditional writes, before they are stored
        *compress,  # gzip; outside Idempotency, which stores plain answers
        Middleware(
            Idempotency, store=backend.idempotency
        ),  # replays repeated writes; needs the tenant and the whole body
    ]


def protection(access: AccessConfig) -> list[Middleware]:
    """The layers that refuse requests. They set tenant, key_id and deadline on `request.state`.

    Raises:
        See `gateway_layers`.
    """
    logs.install()
    store = KeyStore(Workspace(access.keys)) if access.keys else None
    ring = KeyRing(store, access.refresh_s, access.stale_s) if store else None
    limiter = KeyLimiter(access.redis_url) if store else None
    log_startup_warnings(access, None if ring is None else len(ring))
    return [
        Middleware(Front, limits=access.limits),  # request id, size of the request head, unhandled errors
        Middleware(
            Authenticate, ring=ring, limiter=limiter
        ),  # before the body is read: unauthenticated requests stay cheap
        Middleware(Body, limits=access.limits),  # read whole, size-limited and validated before anything parses it
        Middleware(Deadline, deadline_s=access.limits.deadline_s),  # after the body: a slow upload doesn't count
    ]


def wrap(api: FastAPI, layers: Sequence[Middleware]) -> None:
    """Add the layers, outermost first, around the application's own."""
    for layer in reversed(layers):
        api.add_middleware(layer.cls, *layer.args, **layer.kwargs)
