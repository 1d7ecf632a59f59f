"""The simulated annotators: Label Studio's form, and noise within the stated bounds."""

import numpy as np

from showcases_demo import World
from showcases_demo.annotators import ERROR_RATE, SKIP_RATE, label_tasks, make_annotators, pairs, sampled_reviews


def answers(world: World) -> np.ndarray:
    """(tasks, annotators): 1 match, 0 no match, -1 skipped."""
    table = []
    for task in label_tasks(world):
        row = []
        for annotation in task["annotations"]:
            assert annotation["was_cancelled"] == (annotation["result"] == [])
            choices = [result["value"]["choices"] for result in annotation["result"]]
            row.append(-1 if not choices else int(choices == [["match"]]))
        table.append(row)
    return np.array(table)


def truths(world: World) -> np.ndarray:
    """(tasks,): 1 match, 0 no match, -1 ambiguous."""
    code = {"match": 1, "no match": 0, "ambiguous": -1}
    return np.array([code[sentence.truth(photo)] for _, _, sentence, photo in pairs(world)])


def test_all_pairs_of_the_sampled_reviews_are_tasks(town: World) -> None:
    reviews = sampled_reviews(town)
    tasks = label_tasks(town)
    assert len(reviews) == town.config.annotated_reviews
    assert len(tasks) == sum(len(review.sentences) * len(review.photos) for review in reviews)
    by_id = {town.review_id(review): review for review in reviews}
    for task in tasks[:500]:
        data, review = task["data"], by_id[task["data"]["review_id"]]
        assert data["sentence"] == review.sentences[data["sentence_index"]].text
        assert data["image"] == data["photo_id"] in {photo.photo_id for photo in review.photos}
        assert [annotation["completed_by"] for annotation in task["annotations"]] == [1, 2, 3]


def test_noise_is_within_the_stated_bounds(town: World) -> None:
    given, truth = answers(town), truths(town)
    for who, annotator in enumerate(make_annotators(3, town.config.seed)):
        clear = (truth >= 0) & (given[:, who] >= 0)
        errors = float(np.mean(given[clear, who] != truth[clear]))
        assert ERROR_RATE[0] <= annotator.error_rate <= ERROR_RATE[1]
        assert abs(errors - annotator.error_rate) < 0.015
        assert SKIP_RATE[0] / 3 < np.mean(given[:, who] < 0) < SKIP_RATE[1] * 1.5


def test_annotators_agree_well_but_not_fully(town: World) -> None:
    given, truth = answers(town), truths(town)
    whole = given[(given >= 0).all(axis=1)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert 0.8 < np.mean(whole[:, a] == whole[:, b]) < 0.98
    clear = (truth >= 0) & (given >= 0).all(axis=1)
    majority = given[clear].sum(axis=1) >= 2
    assert np.mean(majority == truth[clear]) > 0.98  # three heads are better than one


def test_both_answers_are_common_and_some_pairs_unclear(town: World) -> None:
    truth = truths(town)
    assert 0.15 < np.mean(truth == 1) < 0.6
    assert 0.01 < np.mean(truth == -1) < 0.15
