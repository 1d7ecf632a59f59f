"""Train Φ on the annotations: split 8:1:1 by review, AUC and F1 on the test part (paper section 3.3)."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from showcases.distillation.classifier import PairClassifier
from showcases.distillation.config import DistillConfig
from showcases.distillation.metrics import best_threshold, f1_score, roc_auc
from showcases.errors import ArtifactError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable, require_one_space
from showcases.training import Chance, Report, Session, Task, fit
from showcases.training.chance import STANDARD_ERRORS

Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # sentences (n, d), photos (n, d), labels (n,) float32


def train_classifier(
    annotations: pa.Table,
    sentences: EmbeddingTable,
    photos: EmbeddingTable,
    config: DistillConfig,
    report: Report = lambda metrics, checkpoint: None,
) -> tuple[PairClassifier, dict[str, float]]:
    """Train on the `train` split, select the weights with the best AUC on `val`, measure on `test`.

    The loss balances matching and other pairs; the threshold has the best F1 on `val`.

    Args:
        annotations: the `annotations` table.
        report: called after each epoch.

    Returns:
        The classifier, and on `test`: auc and f1 (0 to 1), n, positives; threshold; val_auc, and the figures of
            `showcases.training.chance.chance_figures`.

    Raises:
        ModelError: the two tables come from different encoders.
        ArtifactError: a split lacks one class.
    """
    require_one_space({"photos": photos.model_id, "sentences": sentences.model_id}, "run jobs.embed again")
    parts = {name: _part(annotations, name, sentences, photos) for name in ("train", "val", "test")}
    model = PairClassifier(photos.dim, config.features, embedding_space=photos.model_id)
    train_labels = parts["train"][2]
    balance = torch.tensor(float((1 - train_labels).sum() / train_labels.sum()))
    tensors = [torch.from_numpy(array) for array in parts["train"]]

    def loss(module: nn.Module, numbers: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        text, image, labels = (tensor[numbers] for tensor in tensors)
        return binary_cross_entropy_with_logits(module(text, image), labels, pos_weight=balance), {}

    def validate(module: nn.Module) -> dict[str, float]:
        text, image, labels = parts["val"]
        return {"val_auc": roc_auc(labels, module.score(text, image))}  # type: ignore[operator]

    task = Task(
        model,
        loss,
        validate,
        save=lambda module, folder: module.save_pretrained(Path(folder)),  # type: ignore[operator]
        examples=len(train_labels),
        monitor="val_auc",
        larger_is_better=True,
        chances=chances(parts["val"][2]),
    )
    best = fit(task, config.loop, Session(report))
    model.eval()
    model.threshold = best_threshold(parts["val"][2], model.score(*parts["val"][:2]))
    validated = {name: figure for name, figure in best.items() if name.endswith("val_auc")}
    return model, {**_measure(model, parts["test"]), **validated}


def chances(labels: np.ndarray) -> list[Chance]:
    """AUC of scores independent of the labels (n,); empty if there are too few labels.

    Source of its standard error: Mann & Whitney 1947, variance of U.
    """
    matching = float(labels.sum())
    others = len(labels) - matching
    error = ((matching + others + 1) / (12 * matching * others)) ** 0.5
    if 0.5 + STANDARD_ERRORS * error >= 1:
        return []
    return [Chance("val_auc", 0.5, STANDARD_ERRORS * error, larger_is_better=True)]


def _measure(model: PairClassifier, part: Part) -> dict[str, float]:
    text, image, labels = part
    scores = model.score(text, image)
    return {
        "auc": roc_auc(labels, scores),
        "f1": f1_score(labels, scores >= model.threshold),
        "threshold": model.threshold,
        "n": len(labels),
        "positives": int(labels.sum()),
    }


def _part(annotations: pa.Table, split: str, sentences: EmbeddingTable, photos: EmbeddingTable) -> Part:
    rows = [row for row in annotations.to_pylist() if row["split"] == split]
    labels = np.array([row["label"] for row in rows], np.float32)
    if not 0 < labels.sum() < len(labels):
        raise ArtifactError(
            f"annotations: {len(labels)} pairs in the {split} split, {int(labels.sum())} matching; both classes "
            "are needed: label more reviews (annotate.reviews) and rerun jobs.annotate"
        )
    text = sentences.gather([row["sentence_id"] for row in rows])
    return text, photos.gather([row["photo_id"] for row in rows]), labels


def train_from_workspace(
    root: str, config: DistillConfig
) -> tuple[dict[str, bytes], dict[str, float], list[dict[str, float]]]:
    """Train on the artifacts of a workspace.

    Returns:
        The model folder's files by name; the test figures and the number of parameters; the figures of each epoch.
    """
    workspace = Workspace(root)
    history: list[dict[str, float]] = []
    annotations = workspace.read_table("annotations")
    model, metrics = train_classifier(
        annotations,
        EmbeddingTable.read(workspace, "sentence_embeddings", annotations["sentence_id"].to_pylist()),
        EmbeddingTable.read(workspace, "image_embeddings", annotations["photo_id"].to_pylist()),
        config,
        lambda figures, _: history.append(figures),
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(Path(folder))
        (Path(folder) / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return files, {**metrics, "parameters": sum(p.numel() for p in model.parameters())}, history
