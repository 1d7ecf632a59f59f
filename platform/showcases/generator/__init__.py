"""Explanations: photos and past reviews in, sentences in the user's vein out."""

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    # On first use: transformers takes seconds to import, and reading a config needs none of it.
    if name == "Generator":
        from showcases.generator.model import Generator

        return Generator
    if name == "GeneratorPredictor":
        from showcases.generator.predictor import GeneratorPredictor

        return GeneratorPredictor
    raise AttributeError(name)
