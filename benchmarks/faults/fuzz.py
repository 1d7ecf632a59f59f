"""make fuzz: mutated photos and review lines through the library, by a seed.

    python -m benchmarks.faults.fuzz --photos 20000 --reviews 20000 --seed 0

Prints what became of them, and ends with 1 where something else than the library's own errors came of one.
"""

import time
from collections.abc import Sequence

from benchmarks.faults.fuzz_photos import fuzz_photos
from benchmarks.faults.fuzz_reviews import fuzz_reviews
from benchmarks.harness import parse


def main(argv: Sequence[str] | None = None) -> None:
    counts = {half: (20_000, f"mutated {half}; 0 for none") for half in ("photos", "reviews")}
    options = parse(__doc__, argv, **counts, seed=(0, "the same seed makes the same bytes"))
    for half, fuzz in (("photos", fuzz_photos), ("reviews", fuzz_reviews)):
        started, count = time.monotonic(), getattr(options, half)
        if outcomes := fuzz(count, options.seed) if count else {}:
            print(f"\n{count:,} mutated {half}, seed {options.seed}, {time.monotonic() - started:.0f} s\n")
            print(f"| {half} | outcome |\n| ---: | --- |")
        for name, number in outcomes.items():
            print(f"| {number:,} | {name} |", flush=True)


if __name__ == "__main__":
    main()
