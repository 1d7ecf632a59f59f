"""Gauges: which models and which catalog version are in use."""

import asyncio
import logging
from typing import Any

from serve_apps.observability import metrics

logger = logging.getLogger("ray.serve")
EVERY_S = 1.0
QUEUES = ("selector", "generator", "arrivals")


async def sampling(backend: Any) -> None:
    """Sample forever, since Ray drops a gauge that isn't set for about 20 s."""
    begin()
    while True:
        try:
            sample(backend)
        except Exception:  # must not end the loop
            logger.exception("metrics could not be sampled")
        await asyncio.sleep(EVERY_S)


def begin() -> None:
    """Export counters of rare events as 0 from the start."""
    metrics.DEGRADED.start()
    for queue in QUEUES:
        metrics.REFUSALS.start(stage=queue, reason="full")
    for role in ("champion", "candidate"):
        metrics.SWITCHES.start(role=role)
    metrics.ROLLBACKS.start()


def sample(backend: Any) -> None:
    """Set every gauge."""
    metrics.CATALOG.record(1, version=backend.catalog.version)
    for bundle in (backend.champions.champion, backend.champions.candidate):
        if bundle is None:
            continue
        for role in ("selector", "generator", "registered"):
            if (ref := getattr(bundle, role)) is not None:
                name = "bundle" if role == "registered" else role
                metrics.MODEL.record(1, role=name, model=ref.name, version=ref.version, alias=ref.alias)
