"""Who rates what: balanced, blinded, the same for a seed, and nothing in a task that tells where a text comes from."""

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest

from showcases.errors import ConfigError, StudyError
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.deal import deal, ordered
from showcases.evaluation.human.key import read_key
from showcases.evaluation.human.plan import plan
from showcases.evaluation.human.questions import NAMES
from showcases.evaluation.human.tasks import task_files
from tests.unit.evaluation.human.human_fixtures import MODELS, make_photos, make_subjects

SHAPES = [(20, 2, 3, 3), (17, 2, 4, 3), (23, 3, 7, 2), (5, 2, 6, 3), (31, 4, 5, 1), (1, 2, 5, 3), (8, 2, 1, 1)]


@pytest.mark.parametrize("examples, models, judges, per_item", SHAPES)
def test_the_deal_is_even(examples: int, models: int, judges: int, per_item: int) -> None:
    for seed in range(20):
        given = deal(examples, models, judges, per_item, np.random.default_rng(seed))
        assert (given.sum(2) == per_item).all()  # each text by so many different judges
        assert np.ptp(given.sum((0, 1))) <= 1  # as many texts for each judge
        assert (np.ptp(given.sum(1), axis=1) <= 1).all()  # and of each model
        moved = (given != given[:1]).any((0, 2)).sum()
        assert moved <= models * judges / 2  # few examples are not rated by the same judges for every model


def test_models_share_every_stretch_of_a_judges_list() -> None:
    mine = np.ones((2, 40), bool)
    order = ordered(mine, np.random.default_rng(3))
    assert sorted(order) == [(model, example) for model in range(2) for example in range(40)]
    for start in range(0, 80, 2):
        assert {model for model, _ in order[start : start + 2]} == {0, 1}
    places = {pair: place for place, pair in enumerate(order)}
    away = [places[0, example] - places[1, example] for example in range(40)]
    assert sum(distance > 0 for distance in away) == 20  # each model first for half of the examples
    assert min(abs(distance) for distance in away) >= 39  # the two texts of an example about half the list apart


def test_the_paper_s_study_has_its_size() -> None:
    study = plan(make_subjects(500), MODELS, StudyConfig())
    for judge in (1, 2, 3):
        kinds = Counter((item.kind, item.model) for item in study.of_judge(judge))
        assert kinds == {
            ("text", "Ref2Seq"): 500,
            ("text", "PC2L"): 500,
            ("instructed", ""): 25,
            ("scrambled", ""): 25,
        }
        checks = [place for place, item in enumerate(study.of_judge(judge)) if item.kind != "text"]
        assert all(21 * n <= place <= 21 * n + 20 for n, place in enumerate(checks))  # spread over the list
        assert checks[0] > 0
    tokens = [item.token for item in study.items]
    assert len(set(tokens)) == len(tokens) == 3 * 1050


def test_orders_differ_by_judge_and_follow_from_the_seed() -> None:
    subjects = make_subjects(12)
    one, again, other = (plan(subjects, MODELS, StudyConfig(seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert {item.token for item in one.items}.isdisjoint(item.token for item in other.items)
    orders = [[item.review_id for item in one.of_judge(judge) if item.kind == "text"] for judge in (1, 2, 3)]
    assert orders[0] != orders[1] != orders[2]


def test_instructed_checks_say_what_passes() -> None:
    study = plan(make_subjects(30), MODELS, StudyConfig(checks=0.3))
    instructed = [item for item in study.items if item.kind == "instructed"]
    assert instructed
    for item in instructed:
        first, second = (int(number) for number in re.findall(r"\d", item.text))
        assert item.expected == {NAMES[0]: (first, first), NAMES[1]: (second, second)}


def test_scrambled_checks_are_no_text_of_a_model() -> None:
    subjects = make_subjects(30)
    written = {text.lower() for subject in subjects for text in subject.texts.values()}
    study = plan(subjects, MODELS, StudyConfig(checks=0.3))
    scrambled = [item.text for item in study.items if item.kind == "scrambled"]
    assert scrambled and written.isdisjoint(scrambled)


def test_tasks_give_nothing_away() -> None:
    subjects = make_subjects(6)
    study = plan(subjects, MODELS, StudyConfig(judges=4))
    files = task_files(study, make_photos(subjects), 32)
    secrets = {
        *MODELS,
        "scrambled",
        "instructed",
        *(s.review_id for s in subjects),
        *(p for s in subjects for p in s.photos),
    }
    for path, content in files.items():
        assert not any(secret in path for secret in secrets)
        if not path.endswith(".jpg"):
            assert not [secret for secret in secrets if secret in content.decode()], path


def test_label_studio_gets_well_formed_tasks() -> None:
    subjects = make_subjects(6)
    study = plan(subjects, MODELS, StudyConfig())
    files = task_files(study, make_photos(subjects), 32)
    view = ET.fromstring(files["labelling_config.xml"])
    asked = {tag.get("name"): [choice.get("alias") for choice in tag] for tag in view.iter("Choices")}
    assert asked == {name: ["1", "2", "3", "4", "5"] for name in NAMES}
    shown = {tag.get("value", "").removeprefix("$") for tag in view if tag.tag in ("Image", "Text")}
    for judge in (1, 2, 3):
        tasks = json.loads(files[f"judge-{judge}.json"])
        wanted = [(item.token, item.text) for item in study.of_judge(judge)]
        assert [(task["data"]["token"], task["data"]["text"]) for task in tasks] == wanted
        for task in tasks:
            assert shown <= set(task["data"])
            assert task["data"]["photos"].partition("?d=")[2] in files


def test_the_key_comes_back(tmp_path) -> None:
    study = plan(make_subjects(5), MODELS, StudyConfig())
    (tmp_path / "key.json").write_text(study.to_json(), encoding="utf-8")
    assert read_key(tmp_path / "key.json") == study
    for text in ("[]", "{}", '{"version": 2}', "nothing"):
        (tmp_path / "key.json").write_text(text)
        with pytest.raises(StudyError, match=r"key\.json"):
            read_key(tmp_path / "key.json")


def test_what_cannot_be_a_study_is_refused() -> None:
    with pytest.raises(ConfigError, match="per_item is 3, but there are 2 judges"):
        StudyConfig(judges=2)
    with pytest.raises(ConfigError, match="checks"):
        StudyConfig(checks=1.5)
    with pytest.raises(StudyError, match="all different"):
        plan(make_subjects(3), ("PC2L", "PC2L"), StudyConfig())
    with pytest.raises(StudyError, match="no example"):
        plan([], MODELS, StudyConfig())
