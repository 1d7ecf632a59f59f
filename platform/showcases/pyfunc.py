"""MLflow `python_function` loader: the MLmodel file of a registered model names this module.

MLflow only needs `_load_pyfunc` and an object with `predict`, so MLflow is not imported here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from showcases.errors import ModelError
from showcases.generator import GeneratorPredictor
from showcases.selector import SelectorPredictor

PREDICTORS: dict[str, type[SelectorPredictor] | type[GeneratorPredictor]] = {
    "showcases.selector": SelectorPredictor,
    "showcases.generator": GeneratorPredictor,
}


class Predicting:
    """Adapter of a predictor to MLflow's interface.

    Args:
        folder: of the model.

    Raises:
        ModelError: the folder does not contain a model with a predictor.
    """

    def __init__(self, folder: Path) -> None:
        kind = kind_of(folder)
        if kind not in PREDICTORS:
            raise ModelError(f"{folder}: a {kind}, which is neither of {', '.join(PREDICTORS)}")
        self.predictor: SelectorPredictor | GeneratorPredictor = PREDICTORS[kind](folder)

    def predict(self, batch: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The predictor's result as lists; params are ignored."""
        return {name: column.tolist() for name, column in self.predictor(batch).items()}


def kind_of(folder: Path) -> str:
    """The model's kind from config.json; a selector is recognised by its profile."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("kind", "showcases.selector" if "profile" in config else None))


def example(folder: Path, rows: int = 1) -> dict[str, np.ndarray]:
    """An example batch for the model in a folder: fixed unit vectors; three photos, two reviews."""
    predictor = Predicting(folder).predictor
    random = np.random.default_rng(0)

    def unit(*shape: int) -> np.ndarray:
        vectors = random.normal(size=shape)
        return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)

    model = predictor.model
    photos = {"images": unit(rows, 3, model.image_dim), "n_images": np.full(rows, 3)}
    if isinstance(predictor, SelectorPredictor):
        return {"profile": unit(rows, predictor.model.profile_dim), **photos}
    return {**photos, "reviews": unit(rows, 2, predictor.model.text_dim), "n_reviews": np.full(rows, 2)}


def _load_pyfunc(path: str) -> Predicting:
    return Predicting(Path(path))
