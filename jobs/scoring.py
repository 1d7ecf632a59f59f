"""The scorer as a Ray actor: apart from `jobs.distill`, so that a worker need not import MLflow with it."""

import tempfile
from pathlib import Path

import numpy as np
import ray

from showcases.artifacts import Workspace
from showcases.distillation.scoring import PairScorer


class ScoringActor:
    """A PairScorer on a worker: the model from the workspace, the vectors from Ray's shared memory."""

    def __init__(self, root: str, vectors: dict[str, ray.ObjectRef], embedding_space: str) -> None:
        sentences, photos = ray.get([vectors["sentences"], vectors["photos"]])
        with tempfile.TemporaryDirectory() as folder:
            Workspace(root).download("classifier", Path(folder))
            self.scorer = PairScorer(folder, sentences, photos, embedding_space)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.scorer(batch)
