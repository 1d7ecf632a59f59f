"""A sweep over the generator's options: weights, base and temperature of its losses, learning rate, layers of MMA.

`python -m tuning.sweep_generator --config FILE --root URI [--trials N] [--search OPTIONS] [--scheduler asha] …`
"""

from collections.abc import Sequence

from tuning.kinds import GENERATOR_KIND
from tuning.sweep import main as sweep_main


def main(argv: Sequence[str] | None = None) -> None:
    sweep_main(GENERATOR_KIND, "python -m tuning.sweep_generator", argv)


if __name__ == "__main__":
    main()
