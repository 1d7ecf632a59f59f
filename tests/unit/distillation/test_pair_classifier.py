"""Φ: its equation, its figures against slow versions and scikit-learn, what it can and cannot learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from showcases.distillation import PairClassifier, PairScorer
from showcases.distillation.annotations import annotation_table
from showcases.distillation.config import DistillConfig
from showcases.distillation.metrics import best_threshold, f1_score, roc_auc
from showcases.distillation.training import train_classifier
from showcases.errors import ArtifactError, ModelError
from showcases.storage.embeddings import EmbeddingTable
from showcases.training import LoopConfig

D = 12


def unit(rng: np.random.Generator, n: int, d: int = D) -> np.ndarray:
    rows = rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_auc_equals_counting_pairs_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 12, 60) / 7  # many ties
    wins = [(a > b) + (a == b) / 2 for a in scores[labels == 1] for b in scores[labels == 0]]
    assert roc_auc(labels, scores) == pytest.approx(np.mean(wins))
    assert roc_auc(labels, scores) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores))
    assert np.isnan(roc_auc(np.ones(3), np.arange(3)))


def test_f1_by_hand_and_scikit_learn() -> None:
    labels, predicted = np.array([1, 1, 1, 0, 0]), np.array([True, True, False, True, False])
    assert f1_score(labels, predicted) == pytest.approx(2 / 3)  # precision 2/3, recall 2/3
    assert f1_score(labels, predicted) == pytest.approx(sklearn_metrics.f1_score(labels, predicted))
    assert f1_score(labels, np.zeros(5, bool)) == 0.0


def test_threshold_is_the_best_of_all_cuts() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        labels, scores = rng.integers(0, 2, 30), rng.integers(1, 15, 30) / 16
        labels[0] = 1
        cuts = [f1_score(labels, scores >= cut) for cut in np.unique(scores)]
        assert f1_score(labels, scores >= best_threshold(labels, scores)) == pytest.approx(max(cuts))
    assert best_threshold(np.zeros(4), np.arange(4)) == 0.5


@pytest.mark.parametrize("features", ["concat", "interaction"])
def test_probability_is_one_layer_on_the_features(features: str) -> None:
    rng = np.random.default_rng(2)
    model = PairClassifier(D, features)
    torch.nn.init.normal_(model.layer.weight)
    torch.nn.init.constant_(model.layer.bias, 0.3)
    text, image = unit(rng, 5), unit(rng, 5)
    w, s = model.layer.weight.detach().numpy()[0], np.sqrt(D)
    for row, got in enumerate(model.score(text, image)):
        v, t = s * image[row], s * text[row]
        x = np.concatenate([v, t] if features == "concat" else [v, t, v * t])
        assert got == pytest.approx(1 / (1 + np.exp(-(w @ x + 0.3))), rel=1e-4)
    table = model.score_all(text, image[:3])
    assert table.shape == (5, 3) and table[4, 1] == pytest.approx(model.score(text[4:], image[1:2])[0])


def test_saved_and_loaded_scores_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = PairClassifier(D, "concat", threshold=0.37, embedding_space="toy")
    torch.nn.init.normal_(model.layer.weight)
    model.save_pretrained(tmp_path / "model")
    loaded = PairClassifier.from_pretrained(tmp_path / "model")
    text, image = unit(rng, 4), unit(rng, 4)
    np.testing.assert_array_equal(loaded.score(text, image), model.score(text, image))
    assert json.loads((tmp_path / "model" / "config.json").read_text())["embedding_space"] == "toy"
    assert loaded.threshold == 0.37


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"jobs\.distill"):
        PairClassifier.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match="12"):
        PairClassifier(D).score(np.zeros((2, 5)), np.zeros((2, 5)))
    PairClassifier(D, embedding_space="one").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="another"):
        PairScorer(tmp_path, "another")


def matching_world(features: str, seed: int = 0, n: int = 600) -> tuple[float, dict[str, float]]:
    """Sentences and photos on random topics; a pair matches if the topics agree (1 in 6)."""
    rng = np.random.default_rng(seed)
    topics = unit(rng, 6)
    which = rng.integers(0, 6, (n, 2))
    both = [topics[which[:, i]] + rng.normal(0, 0.1, (n, D)) for i in range(2)]
    both = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16) for x in both]
    names = [f"r{i // 3}:{i % 3}" for i in range(n)]
    rows = [(names[i], f"p{i}", f"r{i // 3}", [], int(which[i, 0] == which[i, 1])) for i in range(n)]
    split = {f"r{i}": ("val", "test")[i % 10 - 8] if i % 10 > 7 else "train" for i in range(n)}
    text, image = EmbeddingTable(names, both[0], "toy"), EmbeddingTable([r[1] for r in rows], both[1], "toy")
    loop = LoopConfig(epochs=15, batch_size=64, lr=1e-2, optimizer="adamw")
    table = annotation_table(rows, "people", split)
    model, metrics = train_classifier(table, text, image, DistillConfig(features, loop))
    positives = sum(row[4] for row in rows if split[row[2]] == "test")
    assert metrics["positives"] == positives and metrics["n"] == 60 and model.threshold == metrics["threshold"]
    assert model.embedding_space == "toy"
    return metrics["auc"], metrics


def test_interaction_learns_agreement_and_concat_alone_cannot() -> None:
    auc, metrics = matching_world("interaction")
    assert auc > 0.9 and metrics["f1"] > 0.6
    assert matching_world("concat")[0] < 0.75  # additive in v and t: it cannot see whether they agree


def test_training_refuses_what_cannot_work() -> None:
    rng = np.random.default_rng(0)
    text = EmbeddingTable(["r:0"], unit(rng, 1), "one")
    rows = annotation_table([("r:0", "p", "r", [1], 1)], "people", {"r": "train"})
    with pytest.raises(ModelError, match=r"jobs\.embed"):
        train_classifier(rows, text, EmbeddingTable(["p"], unit(rng, 1), "two"), DistillConfig())
    with pytest.raises(ArtifactError, match="train split"):
        train_classifier(rows, text, EmbeddingTable(["p"], unit(rng, 1), "one"), DistillConfig())


def test_auc_by_chance_is_that_of_random_scores() -> None:
    from showcases.distillation.training import chances

    rng = np.random.default_rng(0)
    labels = (np.arange(90) < 25).astype(np.float32)
    [chance] = chances(labels)
    found = [roc_auc(labels, rng.random(90)) for _ in range(3000)]
    assert chance.value == pytest.approx(np.mean(found), abs=0.005)
    assert chance.margin == pytest.approx(3 * np.std(found), rel=0.05)
    assert chances(np.array([0.0, 1.0, 0.0, 1.0], np.float32)) == []  # too few to tell
