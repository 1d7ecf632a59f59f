"""The training loop, shared by every model: takes a task and reports to a callable."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.training.chance import Chance, chance_warning
from showcases.training.config import LoopConfig, Report
from showcases.training.job import Prepared, Session, TrainingJob

if TYPE_CHECKING:
    from showcases.training.batches import Batches, Stream
    from showcases.training.loop import Task, fit

__all__ = [
    "Batches",
    "Chance",
    "LoopConfig",
    "Prepared",
    "Report",
    "Session",
    "Stream",
    "Task",
    "TrainingJob",
    "chance_warning",
    "fit",
]

__getattr__ = on_first_use(__name__, {"Batches": "batches", "Stream": "batches", "Task": "loop", "fit": "loop"})
