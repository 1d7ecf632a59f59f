"""The explanation generator: photos and past reviews in, sentences in the user's own style out (paper section 4.2)."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use
from showcases.generator.config import ContrastiveConfig, GeneratorConfig, Inputs, TrainGeneratorConfig

if TYPE_CHECKING:
    from showcases.generator.losses import PC2LLoss, contrastive_loss
    from showcases.generator.model import Generator
    from showcases.generator.predictor import GeneratorPredictor

__all__ = [
    "ContrastiveConfig",
    "Generator",
    "GeneratorConfig",
    "GeneratorPredictor",
    "Inputs",
    "PC2LLoss",
    "TrainGeneratorConfig",
    "contrastive_loss",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Generator": "model",
        "GeneratorPredictor": "predictor",
        "PC2LLoss": "losses",
        "contrastive_loss": "losses",
    },
)
