"""What runs first in every worker process of a driver: it names its cluster, and keeps Ray Train off the screen."""

import logging
import os

import ray


def setup() -> None:
    """On a local cluster: name it, and quieten Ray Train."""
    name_cluster()
    for name in ("ray.train.v2", "ray.train.torch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cleaner = "ray.train.v2._internal.execution.controller.placement_group_cleaner"
    logging.getLogger(cleaner).setLevel(logging.ERROR)


def name_cluster() -> None:
    """Let what looks for a cluster in this process (Ray's state API) find its own among several on the machine."""
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
