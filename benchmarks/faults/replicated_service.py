"""The service with more or fewer replicas than config.yaml: `python -m benchmarks.faults.replicated_service -h`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from serve_apps import args, run


def main(argv: Sequence[str] | None = None) -> None:
    """--replicas, and all that serve_apps.run takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, required=True, help="of each deployment")
    options, others = parser.parse_known_args(argv)
    content = yaml.safe_load(args.CONFIG.read_text())
    (application,) = content["applications"]
    for deployment in application["deployments"]:
        deployment["num_replicas"] = options.replicas
    with tempfile.TemporaryDirectory() as folder:
        args.CONFIG = Path(folder) / "config.yaml"
        args.CONFIG.write_text(yaml.safe_dump(content))
        run.main(others)


if __name__ == "__main__":
    main(sys.argv[1:])
