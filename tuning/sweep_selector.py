"""A sweep over the selector's options: form of the kernel, delta, alpha and sigma in it, widths, learning rate.

`python -m tuning.sweep_selector --config FILE --root URI [--trials N] [--search OPTIONS] [--scheduler asha] …`
"""

from collections.abc import Sequence

from tuning.kinds import SELECTOR_KIND
from tuning.sweep import main as sweep_main


def main(argv: Sequence[str] | None = None) -> None:
    sweep_main(SELECTOR_KIND, "python -m tuning.sweep_selector", argv)


if __name__ == "__main__":
    main()
