"""The generator as a Ray Data actor: apart from `jobs.evaluate`, so that a worker need not import MLflow with it."""

import tempfile
from pathlib import Path

import numpy as np

from showcases.artifacts import Workspace
from showcases.generator import GeneratorPredictor


class GeneratingActor:
    """A trained variant of a workspace that stays loaded; keeps each row's number beside its text."""

    def __init__(self, root: str, folder: str, device: str) -> None:
        with tempfile.TemporaryDirectory() as local:
            Workspace(root).download("generator", Path(local), folder)
            self.predictor = GeneratorPredictor(local, device=device)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"number": batch["number"], "text": self.predictor(batch)["text"]}
