"""Models as MLflow's `python_function` loads them: the MLmodel file beside a registered model names this module.

MLflow asks for no more than `_load_pyfunc` and an object that has `predict`, so nothing of MLflow is needed here.
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
    """A predictor under the name that MLflow calls it by.

    Args:
        folder: of the model.

    Raises:
        ModelError: no model that predicts lies there.
    """

    def __init__(self, folder: Path) -> None:
        kind = kind_of(folder)
        if kind not in PREDICTORS:
            raise ModelError(f"{folder}: a {kind}, which is neither of {', '.join(PREDICTORS)}")
        self.predictor: SelectorPredictor | GeneratorPredictor = PREDICTORS[kind](folder)

    def predict(self, batch: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The predictor's answer as lists, for the same batch; there are no params."""
        return {name: column.tolist() for name, column in self.predictor(batch).items()}


def kind_of(folder: Path) -> str:
    """What config.json says that the model is; a selector's says it by its profile alone."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("kind", "showcases.selector" if "profile" in config else None))


def example(folder: Path, rows: int = 1) -> dict[str, np.ndarray]:
    """A batch that the model in a folder can take: the same unit vectors each time; three photos, two reviews."""
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
