"""The training loop, shared by every model: an iterable of batches in, a report callable out."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.training.chance import Chance, chance_warning
from showcases.training.config import LoopConfig, Report

if TYPE_CHECKING:
    from showcases.training.batches import Batches, Stream
    from showcases.training.loop import fit

__all__ = ["Batches", "Chance", "LoopConfig", "Report", "Stream", "chance_warning", "fit"]

__getattr__ = on_first_use(__name__, {"Batches": "batches", "Stream": "batches", "fit": "loop"})
