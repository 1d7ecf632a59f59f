"""make fuzz: mutated photos and review lines through the library, by a seed.

    python -m benchmarks.faults.fuzz --photos 20000 --reviews 20000 --seed 0

Prints what became of them, and ends with 1 where something else than the library's own errors came of one.
"""

import argparse
import importlib
import importlib.util
import time

HALVES = ("photos", "reviews")  # function fuzz_<half> of benchmarks.fuzz_<half>


def main() -> None:
    parser = argparse.ArgumentParser(description="mutated photos and review lines through the library")
    for half in HALVES:
        parser.add_argument(f"--{half}", type=int, default=20_000, help=f"mutated {half}; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same bytes")
    args = parser.parse_args()
    for half in HALVES:
        count, module = getattr(args, half), f"benchmarks.fuzz_{half}"
        if not count or importlib.util.find_spec(module) is None:
            continue
        started = time.monotonic()
        outcomes = getattr(importlib.import_module(module), f"fuzz_{half}")(count, args.seed)
        print(f"\n{count:,} mutated {half}, seed {args.seed}, {time.monotonic() - started:.0f} s\n")
        print(f"| {half} | outcome |\n| ---: | --- |")
        for name, number in outcomes.items():
            print(f"| {number:,} | {name} |")


if __name__ == "__main__":
    main()
