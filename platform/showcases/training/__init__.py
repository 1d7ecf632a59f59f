"""The training loop, shared by every model: an iterable of batches in, a report callable out."""

from showcases.training.loop import Batches, LoopConfig, Report, fit

__all__ = ["Batches", "LoopConfig", "Report", "fit"]
