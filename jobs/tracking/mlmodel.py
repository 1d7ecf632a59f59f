"""Writes an MLmodel file with signature and input example, so that MLflow can load a model folder."""

from pathlib import Path
from typing import Any

import numpy as np

from showcases import pyfunc


def describe(folder: Path) -> None:
    """Add an MLmodel file to a model folder, for `mlflow.pyfunc.load_model` and `mlflow models serve`.

    Args:
        folder: written by `save_pretrained` of the selector or generator.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.models.utils import _save_example
    from mlflow.pyfunc import add_to_model
    from mlflow.types import Schema

    batch = pyfunc.example(folder)
    answer = {name: np.array(column) for name, column in pyfunc.Predicting(folder).predict(batch).items()}
    model = Model(signature=ModelSignature(Schema(_specs(batch)), Schema(_specs(answer))))
    add_to_model(model, loader_module=pyfunc.__name__)
    _save_example(model, batch, str(folder))
    model.save(str(folder / "MLmodel"))


def _specs(batch: dict[str, np.ndarray]) -> list[Any]:
    """MLflow's TensorSpec of each column."""
    from mlflow.types import TensorSpec

    types = {name: np.dtype(str) if column.dtype.kind == "U" else column.dtype for name, column in batch.items()}
    return [TensorSpec(types[name], _shape(column), name) for name, column in batch.items()]


def _shape(part: np.ndarray) -> tuple[int, ...]:
    """MLflow shape: -1 for numbers of rows, photos and reviews; fixed vector width."""
    return (*(-1 for _ in part.shape[:-1]), part.shape[-1]) if part.dtype == np.float32 else (-1,) * part.ndim
