"""Explanations: photos and past reviews in, sentences in the user's vein out."""

from showcases.generator.config import ContrastiveConfig, GeneratorConfig, Inputs, TrainGeneratorConfig
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
