"""Explanations: photos and past reviews in, sentences in the user's vein out."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.generator.config import ContrastiveConfig, GeneratorConfig, Inputs, TrainGeneratorConfig

if TYPE_CHECKING:
    from showcases.generator.model import Generator
    from showcases.generator.predictor import GeneratorPredictor

__all__ = [
    "ContrastiveConfig",
    "Generator",
    "GeneratorConfig",
    "GeneratorPredictor",
    "Inputs",
    "TrainGeneratorConfig",
]


__getattr__ = on_first_use(__name__, {"Generator": "model", "GeneratorPredictor": "predictor"})
