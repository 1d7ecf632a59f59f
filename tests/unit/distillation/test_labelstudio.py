"""A hand-made Label Studio export: cancelled, empty, repeated answers; and files that are no export."""

import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from showcases.distillation.labelstudio import CHOICES, LABELLING_CONFIG, LabelledPair, make_task, read_export
from showcases.errors import CorpusError


def answer(who, choice, cancelled=False):
    result = [{"from_name": "match", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}]
    return {"id": 7, "completed_by": who, "was_cancelled": cancelled, "result": result if choice else []}


def exported(photo="p1", sentence="Good ramen.", annotations=(), **data):
    pair = {"photo_id": photo, "review_id": "u_b", "sentence": sentence, "sentence_index": 0}
    return {"id": 1, "data": pair | data, "annotations": list(annotations), "predictions": []}


def write(folder: Path, content) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(content))
    return path


def test_reads_votes_and_counts_what_is_no_vote(tmp_path: Path) -> None:
    tasks = [
        exported(annotations=[answer(1, "match"), answer(2, "no match"), answer({"id": 3, "email": "x"}, "match")]),
        exported("p2", annotations=[answer(1, "match", cancelled=True), answer(2, None), answer(3, "no match")]),
        exported("p1", annotations=[answer(2, "match"), answer(4, "match")]),  # the pair again: 2 changed its mind
        exported("p3", annotations=[answer(1, None, cancelled=True)]),
    ]
    pairs, dropped = read_export(write(tmp_path, tasks))
    assert pairs == [
        LabelledPair("u_b", "Good ramen.", 0, "p1", (1, 1, 1, 1)),
        LabelledPair("u_b", "Good ramen.", 0, "p2", (0,)),
    ]
    assert dropped == {"answers_cancelled": 2, "answers_missing": 1, "answers_repeated": 1}


@pytest.mark.parametrize("image", ["/data/local-files/?d=photos/AF1Qip-x_1.jpg", "https://h/some/AF1Qip-x_1.jpg?w=1"])
def test_photo_id_from_the_images_address(tmp_path: Path, image: str) -> None:
    pairs, _ = read_export(write(tmp_path, [exported(photo=None, image=image, annotations=[answer(1, "match")])]))
    assert pairs[0].photo_id == "AF1Qip-x_1"


def test_a_task_survives_the_round_trip(tmp_path: Path) -> None:
    task = make_task("u_b", "Crisp crust!", 2, "p9") | {"id": 1, "annotations": [answer(1, "no match")]}
    pairs, _ = read_export(write(tmp_path, [task]))
    assert pairs == [LabelledPair("u_b", "Crisp crust!", 2, "p9", (0,))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tasks": []}, "list of tasks"),
        ([{"image": "x", "sentence": "y", "match": "match"}], "JSON-MIN"),
        ([exported(review_id=None)], "data.review_id"),
        ([exported(photo=None)], "names the photo"),
        ([exported(annotations=[answer(1, "maybe")])], "maybe"),
        ([exported(), exported(annotations=[{"id": 1}])], "task 1, annotation 0"),
        ([exported() | {"annotations": None}], "no list"),
    ],
)
def test_a_malformed_export_is_refused_with_the_place(tmp_path: Path, content, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_export(write(tmp_path, content))


def test_no_json_at_all(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,sentence\n")
    for name in ("labels.csv", "absent.json"):
        with pytest.raises(CorpusError, match=name):
            read_export(tmp_path / name)


def test_labelling_config_offers_the_choices_and_shows_the_tasks_fields() -> None:
    root = xml.etree.ElementTree.fromstring(LABELLING_CONFIG)
    assert [choice.get("value") for choice in root.iter("Choice")] == list(CHOICES)
    fields = {value[1:] for element in root.iter() if (value := element.get("value", "")).startswith("$")}
    assert fields <= set(make_task("r", "s", 0, "p")["data"])
