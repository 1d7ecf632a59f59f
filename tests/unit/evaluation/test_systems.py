"""Table 2's figures: which photos each system is measured against, and what stands where nothing was written."""

import numpy as np
import pytest

from showcases.distillation import PairClassifier
from showcases.evaluation.examples import Example
from showcases.evaluation.systems import GROUND_TRUTH, Written, Yardsticks, first_seeds, measure, stack_vectors
from showcases.metrics.meteor import MeteorScorer
from showcases.storage.embeddings import EmbeddingTable

METEOR = MeteorScorer()  # not entered: no Java program is started, it has tests of its own
X, Y = np.eye(2, dtype=np.float32)


def written(text: str, *vectors: np.ndarray) -> Written:
    return Written([text], [["s"] * len(vectors)], [np.array(vectors, np.float32).reshape(-1, 2)])


def test_generated_texts_face_the_photos_shown_and_the_truth_the_users_own() -> None:
    images = EmbeddingTable(["x", "y"], np.eye(2, dtype=np.float16), "toy")
    example = Example("u_b", "u", "b", "Good soup.", own_photos=["y", "lost"], shown=["x"], history=[])
    systems = {
        (GROUND_TRUTH, 0): written("Good soup.", Y),
        ("img", 0): written("good soup .", X),
        ("text", 0): written("", *()),
    }
    figures = measure([example], systems, images, Yardsticks(PairClassifier(2, embedding_space="toy"), METEOR))
    assert [figures[system]["CLIP-Score"].value for system in systems] == [1.0, 1.0, 0.0]
    assert figures["img", 0]["BLEU-1"].value == pytest.approx(1.0) and "BLEU-1" not in figures[GROUND_TRUTH, 0]
    assert figures["text", 0]["BLEU-1"].value == 0.0 and figures["text", 0]["length"].value == 0.0


def test_vectors_follow_the_sentences() -> None:
    stacked = stack_vectors([["a", "b"], [], ["a"]], {"a": X, "b": Y}, 2)
    np.testing.assert_array_equal(stacked[0], np.eye(2))
    assert [part.shape for part in stacked] == [(2, 2), (0, 2), (1, 2)]


def test_first_seed_of_each_variant() -> None:
    systems = {(GROUND_TRUTH, 0): written("t"), ("img", 1): written("a"), ("img", 0): written("b")}
    assert {name: said.texts for name, said in first_seeds(systems).items()} == {"img": ["a"]}
