"""make fuzz: mutated photos and review lines through the library, by a seed.

    python -m benchmarks.faults.fuzz --photos 20000 --reviews 20000 --seed 0

Prints what became of them, and ends with 1 where something else than the library's own errors came of one.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.faults.fuzz_photos import fuzz_photos
from benchmarks.faults.fuzz_reviews import fuzz_reviews

HALVES: dict[str, Callable[[int, int], Mapping[str, int]]] = {"photos": fuzz_photos, "reviews": fuzz_reviews}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="mutated photos and review lines through the library")
    for half in HALVES:
        parser.add_argument(f"--{half}", type=int, default=20_000, help=f"mutated {half}; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same bytes")
    args = parser.parse_args(arguments)
    for half, fuzz in HALVES.items():
        count = getattr(args, half)
        if not count:
            continue
        print(f"{count:,} mutated {half}, seed {args.seed}", flush=True)
        started = time.monotonic()
        outcomes = fuzz(count, args.seed)
        print(f"{time.monotonic() - started:.0f} s\n\n| {half} | outcome |\n| ---: | --- |")
        for name, number in outcomes.items():
            print(f"| {number:,} | {name} |")


if __name__ == "__main__":
    main()
