"""What whoever starts the service should know about its keys."""

import ipaddress
import logging

from serve_apps.access.config import AccessConfig

logger = logging.getLogger("ray.serve")


def log_announcement(config: AccessConfig, keys: int | None = None) -> None:
    for line in announcement(config, keys):
        logger.warning(line)


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
