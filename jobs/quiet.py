"""Runs first in every worker process of a local cluster: leaves the screen to what the steps say."""

import logging


def setup() -> None:
    """Quieten Ray Train: lines about workers and checkpoints, and warnings that there is no dashboard to ask."""
    for name in ("ray.train.v2", "ray.train.torch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cleaner = "ray.train.v2._internal.execution.controller.placement_group_cleaner"
    logging.getLogger(cleaner).setLevel(logging.ERROR)
