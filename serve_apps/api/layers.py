"""The layers of a request, from outside in; nothing else wraps it.

1. Serve's HTTP proxy, a process on every node, with one layer of ours:
   `http.plain_errors.PlainErrors`: errors of Serve itself become problems; a lost gateway is 503 with Retry-After.
   Serve offers its proxy to other code by an environment variable alone, so this is as thin as it can be.
2. The Gateway's bound, in config.yaml: a replica works on `max_ongoing_requests`, `max_queued_requests` wait in each
   proxy, and the proxy answers any more with 503.
3. The gateway's layers: the lists below.
4. The route's handler, which calls the Selector, then the Generator.
5. `calls`: one retry if a replica is lost; only reads are called. There is no other retry of a lost replica.
6. The model's bound, in config.yaml: a replica works on `max_ongoing_requests`, `max_queued_requests` wait in each
   gateway, and any more raises Serve's BackPressureError: 503, or photos without text if it is the Generator.
7. `batches.Batches`: what arrived while the last batch was computed is the next batch.
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
from serve_apps.access.protect import log_announcement
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
        Middleware(Head),  # answers HEAD as GET; outside the rest, which know GET
        *cross_origin(access.cors_origins),  # before the keys: a preflight has none, and refusals need its headers
        *protection(access),
        Middleware(Validators),  # ETags, 304, and 412 for conditional writes, before they are stored
        *compress,  # gzip; outside Idempotency, which stores plain answers
        Middleware(Idempotency, store=backend.idempotency),  # repeated writes; needs the tenant and the whole body
    ]


def protection(access: AccessConfig) -> list[Middleware]:
    """The layers that refuse requests. Handlers find on `request.state`: tenant, key_id, deadline.

    Raises:
        As `gateway_layers`.
    """
    logs.install()
    store = KeyStore(Workspace(access.keys)) if access.keys else None
    ring = KeyRing(store, access.refresh_s, access.stale_s) if store else None
    limiter = KeyLimiter(access.redis_url) if store else None
    log_announcement(access, None if ring is None else len(ring))
    return [
        Middleware(Front, limits=access.limits),  # id, head, failures
        Middleware(Authenticate, ring=ring, limiter=limiter),  # before the body is read: strangers cost little
        Middleware(Body, limits=access.limits),  # whole, bounded and checked before anything parses it
        Middleware(Deadline, deadline_s=access.limits.deadline_s),  # after the body: a slow client's time is its own
    ]


def wrap(api: FastAPI, layers: Sequence[Middleware]) -> None:
    """Add the layers, outermost first, around those that the application has."""
    for layer in reversed(layers):
        api.add_middleware(layer.cls, *layer.args, **layer.kwargs)
