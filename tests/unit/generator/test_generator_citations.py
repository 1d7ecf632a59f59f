"""Citations from a table of probabilities, and what is left where only supported sentences may stand."""

import numpy as np

from showcases.generator.citations import Citation, cite, keep_supported


def test_each_sentence_cites_the_photos_from_the_threshold_on_best_first() -> None:
    scores = np.array([[0.5, 0.9, 0.2], [0.4, 0.1, 0.3], [0.7, 0.8, 0.8]], np.float32)
    found = cite(scores, 0.5)
    assert [citation.photos for citation in found] == [[1, 0], [], [1, 2, 0]]
    np.testing.assert_allclose([citation.score for citation in found], [0.9, 0.4, 0.8], rtol=1e-6)
    assert [citation.supported for citation in found] == [True, False, True]


def test_the_threshold_is_not_rounded_to_the_scores_precision() -> None:
    below = np.float32(0.1)  # a little more than 0.1
    assert cite(np.array([[below]]), 0.1)[0].supported and not cite(np.array([[below]]), 0.1 + 2e-9)[0].supported


def test_without_photos_nothing_is_supported() -> None:
    assert cite(np.zeros((2, 0), np.float32), 0.5) == [Citation([], 0.0)] * 2
    assert cite(np.zeros((0, 3), np.float32), 0.5) == []


def test_what_no_photo_supports_is_left_out_in_order() -> None:
    first, second, third, fourth = Citation([2], 0.6), Citation([], 0.4), Citation([0, 1], 0.9), Citation([], 0.1)
    assert keep_supported([first, second, third, fourth]) == ([first, third], 2)
    assert keep_supported([first, third]) == ([first, third], 0)


def test_the_best_one_stays_where_none_is_supported() -> None:
    low, high, alike = Citation([], 0.2), Citation([], 0.4), Citation([], 0.4)
    kept, left_out = keep_supported([low, high, alike])
    assert kept[0] is high and len(kept) == 1 and left_out == 2 and not kept[0].supported
    assert keep_supported([]) == ([], 0)
