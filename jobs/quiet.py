"""Runs first in every worker process of a local cluster: silences what only matters on a real one."""

import logging


def setup() -> None:
    """Ray Train's cleaner asks the dashboard, which a local cluster has none of, and warns each time."""
    logging.getLogger("ray.train.v2._internal.execution.controller.placement_group_cleaner").setLevel(logging.ERROR)
