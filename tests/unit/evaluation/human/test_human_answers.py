"""Answers in: the table says what judges answered, the tests agree with hand-worked ones, faults are found and told."""

import csv
import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from jobs.human_study import main
from jobs.studies.human_files import places_of
from showcases.errors import ConfigError, StudyError
from showcases.evaluation.examples import Example
from showcases.evaluation.human.answers import collect
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.key import Item, Study
from showcases.evaluation.human.outcome import outcome
from showcases.evaluation.human.plan import plan
from showcases.evaluation.human.questions import NAMES
from showcases.evaluation.human.ratings import ordinal_alpha, sign_test
from showcases.evaluation.human.table import table_6, verdicts
from showcases.evaluation.human.texts import read_texts, subjects_of, to_lines
from tests.unit.evaluation.human.human_fixtures import MODELS, careful, export_file, make_subjects


@pytest.fixture
def study() -> Study:
    return plan(make_subjects(20), MODELS, StudyConfig(checks=0.1))


def prefers_ours(item: Item) -> dict[str, int]:
    """Expressiveness 4 or 5 for ours by example, 3 for the other; photos 4 and 4, but for one example in four 5."""
    number = int(item.review_id.rpartition("-")[2])
    ours = item.model == "PC2L"
    return {NAMES[0]: (4 + number % 2) if ours else 3, NAMES[1]: 5 if ours and number % 4 == 0 else 4}


def test_sign_test_against_one_worked_by_hand() -> None:
    ours, other = np.full(12, 4.0), np.array([3.0] * 9 + [5.0] + [4.0, np.nan])
    found = sign_test(ours, other)
    assert (found.wins, found.losses, found.ties) == (9, 1, 1)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # P(0 or 1 of 10 tosses), both ends: 0.0215
    assert sign_test(np.ones(3), np.ones(3)).p == 1.0
    thirds = np.array([(1 + 2 + 2) / 3]), np.array([1 / 3 + 2 / 3 + 2 / 3])
    assert sign_test(*thirds).ties == 1


def slow_ordinal_alpha(table: np.ndarray) -> float:
    """Krippendorff 2011, section C and the ordinal metric, with a loop for every sum."""
    units = [[int(v) for v in row if not np.isnan(v)] for row in table]
    units = [row for row in units if len(row) > 1]
    count = {c: sum(row.count(c) for row in units) for c in range(1, 6)}
    total = sum(count.values())

    def distance(c: int, k: int) -> float:
        low, high = min(c, k), max(c, k)
        return (sum(count[g] for g in range(low, high + 1)) - (count[c] + count[k]) / 2) ** 2

    observed = sum(distance(c, k) / (len(row) - 1) for row in units for c, k in permutations(row, 2))
    expected = sum(count[c] * count[k] * distance(c, k) for c in count for k in count) / (total - 1)
    return 1 - observed / expected


def test_ordinal_alpha_against_the_published_example_and_the_loop() -> None:
    none = np.nan  # the data of Krippendorff 2011, section C; his ordinal alpha of them is 0.815
    published = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3],
            [none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none],
        ]
    ).T
    assert ordinal_alpha(published) == pytest.approx(0.815, abs=5e-4)
    assert ordinal_alpha(published) == pytest.approx(slow_ordinal_alpha(published))
    assert ordinal_alpha(np.full((4, 3), 2.0)) is None
    assert ordinal_alpha(np.array([[1, none], [none, 2]])) is None


def test_what_judges_answered_comes_back(study: Study, tmp_path: Path) -> None:
    files = [export_file(tmp_path, study, judge, careful(prefers_ours)) for judge in (1, 2, 3)]
    collected = collect(study, files)
    assert collected.report() == []
    result = outcome(collected)
    table = table_6(result)
    cells = {row.name: {c.name: row.value(c.name)[0] for c in table.columns} for row in table.rows}
    assert cells["Ref2Seq"] == pytest.approx({"expressiveness": 3.0, "visual alignment": 4.0})
    assert cells["PC2L"] == pytest.approx({"expressiveness": 4.5, "visual alignment": 4.25})
    assert cells["PC2L less Ref2Seq"] == pytest.approx({"expressiveness": 1.5, "visual alignment": 0.25})
    clear, faint = (result.tests[name]["Ref2Seq"] for name in NAMES)
    assert (clear.wins, clear.losses, clear.ties, clear.p) == (20, 0, 0, pytest.approx(2 / 2**20))
    assert (faint.wins, faint.losses, faint.ties, faint.p) == (5, 0, 15, pytest.approx(2 / 2**5))
    assert result.agreement == {name: pytest.approx(1.0) for name in NAMES}
    told = verdicts(result)
    assert "order holds: PC2L is 1.50 above Ref2Seq; significant" in told[0]
    assert "order holds: PC2L is 0.25 above Ref2Seq; not significant" in told[1]
    assert "*paper: PC2L* | *4.25* | *4.10*" in table.to_markdown()


def test_the_order_may_turn_out_the_other_way(study: Study, tmp_path: Path) -> None:
    def prefers_other(item: Item) -> dict[str, int]:
        return dict.fromkeys(NAMES, 2 if item.model == "PC2L" else 4)

    result = outcome(collect(study, [export_file(tmp_path, study, j, careful(prefers_other)) for j in (1, 2, 3)]))
    assert all("does not hold: PC2L is 2.00 below Ref2Seq; significant" in line for line in verdicts(result))


def test_a_judge_who_does_not_read_is_found_and_can_be_left_out(study: Study, tmp_path: Path) -> None:
    files = [export_file(tmp_path, study, judge, careful(prefers_ours)) for judge in (1, 2)]
    files.append(export_file(tmp_path, study, 3, lambda _: dict.fromkeys(NAMES, 3)))
    collected = collect(study, files)
    assert [entry.fails for entry in outcome(collected).attention] == [False, False, True]
    kept, all_three = outcome(collected, exclude_failed=True), outcome(collected)
    assert kept.excluded == (3,)
    ours = [table_6(result).rows[1].value("expressiveness")[0] for result in (kept, all_three)]
    assert ours == pytest.approx([4.5, 4.0])  # (4.5 + 4.5 + 3) / 3
    assert kept.agreement[NAMES[0]] == pytest.approx(1.0)
    assert (all_three.agreement[NAMES[0]] or 0) < 0.9


def test_the_sign_test_compares_texts_rated_by_the_same_judges(study: Study, tmp_path: Path) -> None:
    """A strict judge who rated one model only must not make it look worse."""
    both = export_file(tmp_path, study, 1, careful(lambda _: dict.fromkeys(NAMES, 4)))
    strict = export_file(tmp_path, study, 2, lambda item: dict.fromkeys(NAMES, 1) if item.model == "Ref2Seq" else {})
    found = outcome(collect(study, [both, strict])).tests[NAMES[0]]["Ref2Seq"]
    assert (found.wins, found.losses, found.ties) == (0, 0, 20)


def answered_at(task: dict, time: str) -> None:
    task["annotations"][0]["updated_at"] = time


def faulty(path: Path, change) -> Path:
    tasks = json.loads(path.read_text())
    change(tasks)
    path.write_text(json.dumps(tasks))
    return path


def test_faults_are_counted_named_and_do_not_count(study: Study, tmp_path: Path) -> None:
    def change(tasks: list[dict]) -> None:
        answers = [task["annotations"][0] for task in tasks]
        tasks[0]["data"]["token"] = "0" * 16
        answers[1]["result"][0]["value"] = {"choices": ["6"]}
        answers[2]["result"][1]["value"] = {"choices": ["good"]}
        answers[3]["result"] = []
        again = [result | {"value": {"choices": ["1"]}} for result in answers[4]["result"]]
        tasks[4]["annotations"].append(answers[4] | {"result": again})  # a second answer to the fifth task

    path = faulty(export_file(tmp_path, study, 1, careful(prefers_ours)), change)
    collected = collect(study, [path])
    counts = {kind: len(places) for kind, places in collected.faults.items()}
    assert counts == {
        "answers to unknown tokens": 1,
        "ratings that are no whole number from 1 to 5": 2,
        "answers without a rating": 1,
        "answers changed by a later one": 1,
    }
    items = study.of_judge(1)
    assert collected.ratings[items[4].token] == dict.fromkeys(NAMES, 1)  # the last counts
    assert set(collected.ratings[items[1].token]) == {NAMES[1]}
    lacking = {item.token: names for item, names in collected.missing() if item.judge == 1}
    assert lacking == {
        items[0].token: list(NAMES),
        items[1].token: [NAMES[0]],
        items[2].token: [NAMES[1]],
        items[3].token: list(NAMES),
    }
    total = len(items)
    assert f"judge 1: 4 of {total} tasks lack an answer" in collected.report()
    assert f"judge 2: {len(study.of_judge(2))} of {len(study.of_judge(2))} tasks lack an answer" in collected.report()


def test_the_later_answer_counts_whatever_the_order_of_files(study: Study, tmp_path: Path) -> None:
    paths = []
    for hour, rating in ((12, 5), (9, 1)):
        path = export_file(tmp_path, study, 1, lambda _, rating=rating: dict.fromkeys(NAMES, rating))
        faulty(path, lambda tasks, hour=hour: [answered_at(task, f"2026-01-05T{hour:02}:00:00Z") for task in tasks])
        paths.append(path.rename(tmp_path / f"{hour}.json"))
    collected = collect(study, paths)
    assert {rating for given in collected.ratings.values() for rating in given.values()} == {5}


def test_label_studio_s_own_faults(study: Study, tmp_path: Path) -> None:
    path = export_file(tmp_path, study, 1, careful(prefers_ours))
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"][0]["was_cancelled"] = True
    tasks[1]["annotations"].append({**tasks[1]["annotations"][0], "id": 99, "completed_by": {"id": 77}})
    for result in tasks[2]["annotations"][0]["result"]:
        result["value"] = {"choices": ["4 – good"]}  # where the alias was not exported
    for result in tasks[3]["annotations"][0]["result"]:
        result.update(type="rating", value={"rating": 2})  # where somebody put stars
    path.write_text(json.dumps(tasks))
    collected = collect(study, [path])
    assert {kind: len(places) for kind, places in collected.faults.items()} == {
        "cancelled answers": 1,
        "tasks answered by two people": 1,
    }
    items = study.of_judge(1)
    assert collected.ratings[items[2].token] == dict.fromkeys(NAMES, 4)
    assert collected.ratings[items[3].token] == dict.fromkeys(NAMES, 2)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a file of answers"),
        ('{"a": 1}', "JSON-MIN"),
        ('[{"data": {}}]', "JSON-MIN"),
        ("[1]", "JSON-MIN"),
        ("[]", "no valid answer"),
    ],
)
def test_other_files_are_refused(study: Study, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "some.json").write_text(text)
    with pytest.raises(StudyError, match=message):
        collect(study, [tmp_path / "some.json"])


def test_answers_of_another_study_are_refused(study: Study, tmp_path: Path) -> None:
    other = plan(make_subjects(20), MODELS, StudyConfig(seed=9))
    with pytest.raises(StudyError, match=r"use that export's key\.json"):
        collect(study, [export_file(tmp_path, other, 1, careful(prefers_ours))])


def test_the_command_writes_table_and_what_is_missing(study: Study, tmp_path: Path, capsys) -> None:
    (tmp_path / "key.json").write_text(study.to_json(), encoding="utf-8")
    files = [str(export_file(tmp_path, study, judge, careful(prefers_ours))) for judge in (1, 2)]
    out = tmp_path / "out"
    main(["import", "--answers", *files, "--key", str(tmp_path / "key.json"), "--out", str(out)])
    printed = capsys.readouterr().out
    assert (out / "table_6.md").read_text() in printed
    assert "judge 3: 44 of 44 tasks lack an answer" in printed
    rows = {(row["row"], row["metric"]): row for row in csv.DictReader((out / "table_6.csv").open())}
    assert float(rows["PC2L", "expressiveness"]["value"]) == pytest.approx(4.5)
    assert rows["PC2L", "expressiveness"]["paper_as_printed"] == "4.25"
    lacking = list(csv.DictReader((out / "missing.csv").open()))
    assert [row["token"] for row in lacking] == [item.token for item in study.of_judge(3)]
    with pytest.raises(SystemExit):
        main(["import", "--answers", "none.json", "--key", str(tmp_path / "key.json"), "--out", str(out)])
    assert "not a file of answers" in capsys.readouterr().err


def test_import_needs_neither_ray_nor_torch(study: Study, tmp_path: Path, repository: Path) -> None:
    (tmp_path / "key.json").write_text(study.to_json(), encoding="utf-8")
    answers = export_file(tmp_path, study, 1, careful(prefers_ours))
    arguments = ["import", "--answers", str(answers), "--key", str(tmp_path / "key.json"), "--out", str(tmp_path)]
    code = (
        f"import sys, jobs.human_study; jobs.human_study.main({arguments!r})\n"
        "print([name for name in ('ray', 'torch', 'mlflow', 'transformers') if name in sys.modules])"
    )
    path = f"{repository / 'platform'}:{repository}"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_texts_as_lines_come_back_and_examples_need_all_of_them(tmp_path: Path) -> None:
    texts = {"A": {"r1": "soup\n\u2028“pink”", "r2": ""}, "B": {"r1": "tea"}}
    path = tmp_path / "texts.jsonl"
    path.write_text(to_lines(texts), encoding="utf-8")
    assert read_texts(path) == texts
    examples = [Example(name, "u", "b", "said", [], ["p1"], []) for name in ("r1", "r2")]
    assert [s.review_id for s in subjects_of(examples, ["A", "B"], texts, {"p1": b""})] == ["r1"]
    assert subjects_of(examples, ["A"], texts, {}) == []  # no photo to show
    for line in ("{", "[]", '{"review_id": "r1", "model": "A"}', '{"review_id": 1, "model": "A", "text": "t"}'):
        path.write_text(line)
        with pytest.raises(StudyError, match="line 1"):
            read_texts(path)
    path.write_text(2 * '{"review_id": "r1", "model": "A", "text": "t"}\n')
    with pytest.raises(StudyError, match="line 2: a second text"):
        read_texts(path)


def test_models_are_named_by_their_folders() -> None:
    assert places_of("A=_reproduce/a-seed0,B=generator/img-seed0/") == {
        "A": ("_reproduce", "a-seed0"),
        "B": ("generator", "img-seed0"),
    }
    assert places_of("") == {}
    for wrong in ("A", "A=", "=generator/x", "A=/", "A=x,A=y"):
        with pytest.raises(ConfigError, match="NAME=FOLDER"):
            places_of(wrong)
