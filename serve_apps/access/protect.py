"""Puts the layers around the application: `protect(api, config)`."""

import ipaddress
import logging

from fastapi import FastAPI

from serve_apps.access import logs
from serve_apps.access.admission import Admission
from serve_apps.access.authenticate import Authenticate
from serve_apps.access.body import Body
from serve_apps.access.config import AccessConfig
from serve_apps.access.deadline import Deadline
from serve_apps.access.front import Front
from serve_apps.access.keyring import KeyRing
from serve_apps.access.limits import KeyLimiter
from serve_apps.access.store import KeyStore
from showcases.artifacts import Workspace

logger = logging.getLogger("ray.serve")


def protect(api: FastAPI, config: AccessConfig) -> None:
    """Wrap the application; call it after everything else was added. Handlers find on `request.state`: tenant, key_id,
    deadline; on `request.app.state.stages`: the admission of each stage.

    Raises:
        ConfigError: the package for access.redis_url is missing.
        KeyStoreError: a key's file isn't one.
        ObjectStoreError: the keys' store can't be read.
    """
    logs.install()
    store = KeyStore(Workspace(config.keys)) if config.keys else None
    ring = KeyRing(store, config.refresh_s, config.stale_s) if store else None
    limiter = KeyLimiter(config.redis_url) if store else None
    for line in announcement(config, None if ring is None else len(ring)):
        logger.warning(line)
    api.state.stages = {
        name: Admission(name, limits)
        for name, limits in (
            ("selector", config.selector),
            ("generator", config.generator),
            ("arrivals", config.arrivals),
        )
    }
    for layer, options in reversed(
        (
            (Front, {"limits": config.limits}),
            (Authenticate, {"ring": ring, "limiter": limiter}),
            (Body, {"limits": config.limits}),
            (Deadline, {"deadline_s": config.limits.deadline_s}),
        )
    ):
        api.add_middleware(layer, **options)  # type: ignore[arg-type]


def announcement(config: AccessConfig, keys: int | None = None) -> list[str]:
    """What whoever starts the service should know: that it is open to others, or that nobody has a key."""
    if config.keys is None:
        if _loopback(config.host):
            return []
        return [
            f"no keys are configured: everybody who reaches {config.host} may ask anything. Make keys with "
            "`python -m serve_apps.keys create`, and name their place (access.keys, or --keys)"
        ]
    if keys == 0:
        return [f"{config.keys} has no keys yet, so every request is refused: `python -m serve_apps.keys create`"]
    return []


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
