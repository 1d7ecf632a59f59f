"""Startup warnings about API keys."""

import ipaddress
import logging

from serve_apps.access.config import AccessConfig

logger = logging.getLogger("ray.serve")


def log_startup_warnings(config: AccessConfig, keys: int | None = None) -> None:
    for line in startup_warnings(config, keys):
        logger.warning(line)


def startup_warnings(config: AccessConfig, keys: int | None = None) -> list[str]:
    """Warnings at startup: the service is reachable without a key, or no key exists."""
    if config.keys is None:
        if _loopback(config.host):
            return []
        return [
            f"no keys are configured: everyone who can reach {config.host} has full access. Create keys with "
            "`python -m serve_apps.keys create` and configure their location (access.keys, or --keys)"
        ]
    if keys == 0:
        return [f"{config.keys} has no keys yet, so every request is refused: `python -m serve_apps.keys create`"]
    return []


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
