"""Setup hook of worker processes: sets the cluster address and reduces Ray Train's logging."""

import logging
import os

import ray


def setup() -> None:
    """For a local cluster: set its address and reduce Ray Train's logging."""
    name_cluster()
    for name in ("ray.train.v2", "ray.train.torch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cleaner = "ray.train.v2._internal.execution.controller.placement_group_cleaner"
    logging.getLogger(cleaner).setLevel(logging.ERROR)


def name_cluster() -> None:
    """Set RAY_ADDRESS, so that Ray's state API finds this cluster if the machine runs several."""
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
