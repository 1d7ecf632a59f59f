"""What the sweeps search: a range for each option, and the paper's own point, which is always tried."""

import math
from typing import Any

from ray import tune

# weights lambda_1 and lambda_2, base alpha of the weights f(i, j), temperature tau (paper section 5.1)
PAPER_POINT = {"lambda_image": 0.2, "lambda_text": 0.2, "alpha": math.e, "tau": 0.1}

# (lowest, highest, on a log scale); alpha and tau act through exponents, so that factors count
RANGES: dict[str, tuple[float, float, bool]] = {
    "lambda_image": (0.0, 0.6, False),
    "lambda_text": (0.0, 0.6, False),
    "alpha": (1.05, 10.0, True),
    "tau": (0.02, 0.5, True),
}


def contrastive_space() -> dict[str, Any]:
    """Ray Tune's domains for the fields of ContrastiveConfig that the sweep varies."""
    return {
        name: tune.loguniform(low, high) if log else tune.uniform(low, high)
        for name, (low, high, log) in RANGES.items()
    }
