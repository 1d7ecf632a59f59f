"""The simulation against a real run on one node: what `jobs.embed` measured of its stages must add up to its own time.

    python -m benchmarks.scale.check WORKSPACE [--unit 256] [--encoders 1]

Reads the manifest of `image_embeddings`. The stages' rates are the run's own (photos over the seconds that decoding and
encoding took), so what is checked is how the simulation puts them together: overlap, waiting, the pipeline's filling.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.scale.simulation import Nodes, Stage, Step, Store
from showcases.storage.artifacts import Workspace


def simulated_seconds(figures: Mapping[str, Any], unit: int, encoders: int) -> float:
    """Seconds that the simulation gives one node with the run's cores and encoders; loading counts as booting.

    Args:
        figures: of the bill: rows, seconds, cpu_seconds, decode_cpu_s, encode_s, loading_s.
    """
    rows = int(figures["rows"])
    cores = max(1, round(figures["cpu_seconds"] / figures["seconds"]))
    stages = [
        Stage("decode", {"node": cores}, rows / figures["decode_cpu_s"]),
        Stage("encode", {"node": encoders}, rows / figures["encode_s"]),
    ]
    boot = figures.get("loading_s", 0.0) / encoders
    return Step(rows, unit, stages, {"node": Nodes(1, boot_s=boot)}, Store()).run().seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace")
    parser.add_argument("--unit", type=int, default=256, help="photos; embed.photos_per_unit of the run")
    parser.add_argument("--encoders", type=int, default=1, help="cluster.encoders of the run")
    arguments = parser.parse_args()
    figures = Workspace(arguments.workspace).require("image_embeddings").metrics
    if not figures.get("rows"):
        raise SystemExit("error: that run embedded no photo (all stood already); run jobs.embed with --force")
    simulated = simulated_seconds(figures, arguments.unit, arguments.encoders)
    real = figures["seconds"]
    print(f"{figures['rows']:,.0f} photos: {real:.1f} s in truth, {simulated:.1f} s simulated")
    print(json.dumps({"name": "scale_check", "ratio": round(simulated / real, 4), "ours": simulated, "rival": real}))


if __name__ == "__main__":
    main()
