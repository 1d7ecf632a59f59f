"""CLIP-Align and CLIP-Score against the paper's equation, written out as loops."""

import numpy as np
import pytest
import torch

from showcases.distillation import PairClassifier
from showcases.metrics.alignment import alignment, alignment_figures, cosines

D = 6


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    rows = rng.normal(size=(n, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_worked_by_hand() -> None:
    # photos x and y; sentences x and (x + y) / sqrt 2: the best cosines are 1 and 1 / sqrt 2
    photos, diagonal = np.eye(2), np.full(2, np.sqrt(0.5))
    sentences = np.stack([photos[0], diagonal])
    assert alignment([sentences], [photos], cosines) == pytest.approx([(1 + np.sqrt(0.5)) / 2])


def test_equals_the_equation_in_loops() -> None:
    rng = np.random.default_rng(0)
    model = PairClassifier(D, embedding_space="toy")
    torch.nn.init.normal_(model.layer.weight)
    sentences = [unit(rng, m) for m in (1, 4, 2)]
    photos = [unit(rng, n) for n in (3, 1, 5)]
    align, score = [], []
    for text, image in zip(sentences, photos, strict=True):
        align.append(np.mean([max(model.score(t[None], v[None])[0] for t in text) for v in image]))
        score.append(np.mean([max(float(t @ v) for t in text) for v in image]))
    figures = alignment_figures(sentences, photos, model)
    assert figures["CLIP-Align"].value == pytest.approx(np.mean(align), rel=1e-5)
    assert figures["CLIP-Score"].value == pytest.approx(np.mean(score), rel=1e-5)
    assert figures["CLIP-Align"].n == 3 and "toy" in figures["CLIP-Align"].library


def test_an_empty_text_describes_nothing_and_an_example_without_photos_is_left_out() -> None:
    rng = np.random.default_rng(1)
    nothing = np.zeros((0, D), np.float32)
    values = alignment([nothing, unit(rng, 2)], [unit(rng, 2), nothing], cosines)
    assert values[0] == 0.0 and np.isnan(values[1])
    figures = alignment_figures([unit(rng, 1)], [nothing], PairClassifier(D))
    assert figures["CLIP-Align"].value is None and figures["CLIP-Align"].n == 0
