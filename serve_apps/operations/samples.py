"""What has no event of its own: how full the queues are, which models and which catalog answer."""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI

from serve_apps.operations import metrics

logger = logging.getLogger("ray.serve")
EVERY_S = 1.0
REASONS = ("full", "deadline")  # of serve_apps.access.admission


async def sampling(api: FastAPI, backend: Any) -> None:
    """For ever: Ray forgets a gauge that is not set anew within some 20 s."""
    begin(api)
    while True:
        try:
            sample(api, backend)
        except Exception:  # a metric is no reason to stop
            logger.exception("metrics could not be sampled")
        await asyncio.sleep(EVERY_S)


def begin(api: FastAPI) -> None:
    """Counters of what should be rare stand at 0 from the start."""
    for reason in REASONS:
        metrics.DEGRADED.start(reason=reason)
        for stage in api.state.stages:
            metrics.REFUSALS.start(stage=stage, reason=reason)
    for role in ("champion", "candidate"):
        metrics.SWITCHES.start(role=role)
    metrics.ROLLBACKS.start()


def sample(api: FastAPI, backend: Any) -> None:
    """Set every gauge."""
    for name, stage in api.state.stages.items():
        metrics.RUNNING.record(stage.running, stage=name)
        metrics.WAITING.record(stage.waiting, stage=name)
    metrics.CATALOG.record(1, version=backend.catalog.version)
    for bundle in (backend.champions.champion, backend.champions.candidate):
        if bundle is None:
            continue
        for role in ("selector", "generator", "registered"):
            if (ref := getattr(bundle, role)) is not None:
                name = "bundle" if role == "registered" else role
                metrics.MODEL.record(1, role=name, model=ref.name, version=ref.version, alias=ref.alias)
