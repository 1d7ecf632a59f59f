"""The systems that Table 2 compares ours with: ST, R2Gen, Ref2Seq and PETER, trained as ours is.

Its other baseline, Text GPT-2, is our generator on past reviews alone (`evaluation.studies.table_5_rows`).
"""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.baselines.config import NAMES, BaselineConfig, Name, sized_like

if TYPE_CHECKING:
    from showcases.baselines.base import Baseline
    from showcases.baselines.kinds import load_baseline
    from showcases.baselines.predictor import BaselinePredictor

__all__ = [
    "NAMES",
    "Baseline",
    "BaselineConfig",
    "BaselinePredictor",
    "Name",
    "load_baseline",
    "sized_like",
]

__getattr__ = on_first_use(__name__, {"Baseline": "base", "BaselinePredictor": "predictor", "load_baseline": "kinds"})
