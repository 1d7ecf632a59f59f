"""Runs first in every worker process of a local cluster: leaves the screen to what the steps say."""

import logging

RAY_TRAIN = "ray.train.v2._internal.execution"


def setup() -> None:
    """Quieten Ray Train: a line a checkpoint, and warnings that a local cluster has no dashboard to ask."""
    for name in ("storage", "context"):
        logging.getLogger(f"{RAY_TRAIN}.{name}").setLevel(logging.WARNING)
    logging.getLogger(f"{RAY_TRAIN}.controller.placement_group_cleaner").setLevel(logging.ERROR)
