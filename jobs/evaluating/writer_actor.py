"""Text generation as a Ray Data actor; separate from `jobs.evaluate`, so that workers don't import MLflow."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from showcases.storage.artifacts import Workspace

if TYPE_CHECKING:
    from showcases.baselines import BaselinePredictor
    from showcases.generator import GeneratorPredictor


class GeneratingActor:
    """Generates texts with the model in each row's `folder` (artifact/folder); keeps the last model loaded."""

    def __init__(self, root: str, device: str) -> None:
        self.workspace, self.device = Workspace(root), device
        self.folder = ""
        self.predictor: GeneratorPredictor | BaselinePredictor | None = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        texts = np.empty(len(batch["folder"]), object)
        for folder in dict.fromkeys(batch["folder"].tolist()):
            rows = batch["folder"] == folder
            part = {name: column[rows] for name, column in batch.items()}
            texts[rows] = self._load(folder)(part)["text"]
        return {"folder": batch["folder"], "number": batch["number"], "text": texts}

    def _load(self, folder: str) -> "GeneratorPredictor | BaselinePredictor":
        if self.predictor is None or folder != self.folder:
            self.predictor, self.folder = self.workspace.load(self._read, *folder.split("/")), folder
        return self.predictor

    def _read(self, folder: Path) -> "GeneratorPredictor | BaselinePredictor":
        # Local imports: the driver doesn't need transformers.
        from showcases.baselines import BaselinePredictor
        from showcases.generator import GeneratorPredictor

        kind = json.loads((folder / "config.json").read_text())["kind"]
        predictor = BaselinePredictor if kind == "showcases.baseline" else GeneratorPredictor
        return predictor(folder, device=self.device)
