"""A hand-made Label Studio export: cancelled, empty, repeated answers; and files that are no export."""

import json
import xml.etree.ElementTree
from pathlib import Path

import pytest

from showcases.distillation.annotations import ReviewPairs
from showcases.distillation.labelstudio import CHOICES, LabelledPair, read_exports
from showcases.distillation.labelstudio_tasks import LABELLING_CONFIG, WholeReview, make_tasks, mark_sentences
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
    pairs, dropped = read_exports([write(tmp_path, tasks)])
    assert pairs == [
        LabelledPair("u_b", "Good ramen.", 0, "p1", (1, 1, 1, 1), ("user 1", "user 2", "user 3", "user 4")),
        LabelledPair("u_b", "Good ramen.", 0, "p2", (0,), ("user 3",)),
    ]
    assert dropped == {"answers_cancelled": 2, "answers_missing": 1, "answers_repeated": 1}


@pytest.mark.parametrize("image", ["/data/local-files/?d=photos/AF1Qip-x_1.jpg", "https://h/some/AF1Qip-x_1.jpg?w=1"])
def test_photo_id_from_the_images_address(tmp_path: Path, image: str) -> None:
    pairs, _ = read_exports([write(tmp_path, [exported(photo=None, image=image, annotations=[answer(1, "match")])])])
    assert pairs[0].photo_id == "AF1Qip-x_1"


def test_a_task_survives_the_round_trip(tmp_path: Path) -> None:
    review = ReviewPairs("u_b", "b", {2: "Crisp crust!"}, ["p9"])
    [task] = make_tasks([review], {"u_b": WholeReview("", ["So.", "Well.", "Crisp crust!"])})
    pairs, _ = read_exports([write(tmp_path, [task | {"id": 1, "annotations": [answer(1, "no match")]}])])
    assert pairs == [LabelledPair("u_b", "Crisp crust!", 2, "p9", (0,), ("user 1",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tasks": []}, "list of tasks"),
        ([{"image": "x", "sentence": "y", "match": "match"}], "JSON-MIN"),
        ([exported(review_id=None)], "data.review_id"),
        ([exported(photo=None)], "names the photo"),
        ([exported(annotations=[answer(1, "maybe")])], "maybe"),
        ([exported(), exported(annotations=[{"id": 1}])], "task 1, annotation 0"),
        ([exported() | {"annotations": None}], "null, not a list"),
    ],
)
def test_a_malformed_export_is_refused_with_the_place(tmp_path: Path, content, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_exports([write(tmp_path, content)])


def test_no_json_at_all(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,sentence\n")
    for name in ("labels.csv", "absent.json"):
        with pytest.raises(CorpusError, match=name):
            read_exports([tmp_path / name])


def test_labelling_config_offers_the_choices_and_shows_the_tasks_fields() -> None:
    root = xml.etree.ElementTree.fromstring(LABELLING_CONFIG)
    assert [choice.get("value") for choice in root.iter("Choice")] == list(CHOICES)
    fields = {value[1:] for element in root.iter() if (value := element.get("value", "")).startswith("$")}
    [task] = make_tasks([ReviewPairs("r", "b", {0: "S."}, ["p"])], {"r": WholeReview("S.", ["S."])})
    assert fields == {"html", "image"} <= set(task["data"])
    assert task["data"]["image"] == "/data/local-files/?d=photos/p.jpg"


def test_the_sentence_is_marked_in_the_escaped_review() -> None:
    review = WholeReview("Wow.\n<b>Fish & chips</b>!  Wow.", ["Wow.", "<b>Fish & chips</b>!", "Wow."])
    assert mark_sentences(review) == [
        "<p><mark>Wow.</mark> &lt;b&gt;Fish &amp; chips&lt;/b&gt;! Wow.</p>",
        "<p>Wow. <mark>&lt;b&gt;Fish &amp; chips&lt;/b&gt;!</mark> Wow.</p>",
        "<p>Wow. &lt;b&gt;Fish &amp; chips&lt;/b&gt;! <mark>Wow.</mark></p>",  # the second one, not the first
    ]
    translated = WholeReview("(Translated by Google) Good. Bad.\n\n(Original)\nBon. Mal.", ["Good.", "Bad."])
    assert mark_sentences(translated)[1] == "<p>Good. <mark>Bad.</mark></p>"
    foreign = WholeReview("another text", ["One.", "Two."])  # of another splitter
    assert mark_sentences(foreign) == ["<p><mark>One.</mark> Two.</p>", "<p>One. <mark>Two.</mark></p>"]


def test_tasks_of_wanted_pairs_alone() -> None:
    review = ReviewPairs("r", "b", {0: "S.", 1: "T."}, ["p", "q"])
    tasks = make_tasks([review], {"r": WholeReview("S. T.", ["S.", "T."])}, wanted={("r:1", "p"), ("r:0", "z")})
    assert [(task["data"]["sentence"], task["data"]["photo_id"]) for task in tasks] == [("T.", "p")]


def dated(who, choice, updated_at):
    return answer(who, choice) | {"updated_at": updated_at}


def test_of_one_annotators_answers_the_last_counts_wherever_it_stands(tmp_path: Path) -> None:
    late, early = "2024-05-02T09:00:00Z", "2024-05-01T09:00:00.120000Z"
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps([exported(annotations=[dated(1, "match", late), dated(1, "no match", early)])]))
    assert read_exports([first])[0][0].votes == (1,)
    second.write_text(json.dumps([exported(annotations=[dated(2, "match", late), dated(1, "no match", early)])]))
    for files in ([first, second], [second, first]):  # time decides, not the order of the files
        [pair], dropped = read_exports(files)
        assert dict(zip(pair.annotators, pair.votes, strict=True)) == {"user 1": 1, "user 2": 1}
        assert dropped["answers_repeated"] == 2
    second.write_text(json.dumps([exported(annotations=[answer(1, "no match")])]))  # without a time the place decides
    assert [read_exports(files)[0][0].votes for files in ([first, second], [second, first])] == [(0,), (1,)]


def test_answers_of_nobody_known_are_each_anothers(tmp_path: Path) -> None:
    tasks = [
        exported(annotations=[answer(None, "match"), answer(None, "match")]),
        exported(annotations=[answer(None, "match")]),
    ]
    assert read_exports([write(tmp_path, tasks)])[0][0].votes == (1, 1, 1)


def result(*items):
    return {"completed_by": 1, "result": list(items)}


def choices(chosen, name="match"):
    return {"from_name": name, "to_name": "image", "type": "choices", "value": {"choices": chosen}}


RATING = {"from_name": "stars", "to_name": "image", "type": "rating", "value": {"rating": 3}}
NOTE = {"from_name": "note", "to_name": "image", "type": "textarea", "value": {"text": ["blurred"]}}


def votes(tmp_path: Path, *annotations):
    pairs, dropped = read_exports([write(tmp_path, [exported(annotations=annotations)])])
    return [vote for pair in pairs for vote in pair.votes], {name: n for name, n in dropped.items() if n}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (result(choices(["good"], "quality"), RATING, NOTE, choices(["match"])), [1]),
        (result(choices(["no match"]), choices(["sharp", "bright"], "quality")), [0]),
        (result(choices(["no match"], "shown"), choices(["good"], "quality")), [0]),  # our control, renamed
        (result(choices(["match"]), choices(["no match"], "second")), [1]),  # ours goes by its name
        (result(choices("match")), [1]),
    ],
)
def test_other_controls_beside_ours_are_ignored(tmp_path: Path, annotation, expected: list[int]) -> None:
    assert votes(tmp_path, annotation) == (expected, {})


@pytest.mark.parametrize(
    "annotation",
    [
        {"result": None},
        result(),
        result(NOTE),
        result(choices(None)),
        result(choices([])),
        result(choices([None])),
        result(choices(None) | {"value": None}),
        result(None, 7, "x", {"type": "choices"}),
    ],
)
def test_null_results_values_and_choices_are_no_answer(tmp_path: Path, annotation) -> None:
    assert votes(tmp_path, annotation, answer(2, "match")) == ([1], {"answers_missing": 1})


def test_a_cancelled_answer_may_hold_any_choice(tmp_path: Path) -> None:
    held = (["skip"], ["match", "no match"], None)
    cancelled = [result(choices(chosen)) | {"was_cancelled": True} for chosen in held]
    assert votes(tmp_path, *cancelled, answer(2, "match")) == ([1], {"answers_cancelled": 3})


def test_answers_of_other_controls_alone_are_named(tmp_path: Path) -> None:
    path = write(
        tmp_path, [exported(annotations=[result(choices(["yes"], "shown")), result(choices(["no"], "shown"))])]
    )
    with pytest.raises(
        CorpusError, match="no answer of the control `match` .*; found shown: no, yes; .*labelling_config"
    ):
        read_exports([path])


def test_a_person_is_one_by_id_by_email_and_by_object(tmp_path: Path) -> None:
    forms = [
        3,
        "3",
        {"id": 3},
        {"id": 3, "email": "Ann@x.org", "first_name": "", "last_name": ""},
        {"id": None, "email": "ann@x.org"},
        {"email": "ann@x.org "},
        "ann@x.org",
        "ANN@x.org",
    ]
    for first in forms:  # whatever comes first
        tasks = [exported(annotations=[answer(who, "match") for who in (first, *forms)])]
        [pair], dropped = read_exports([write(tmp_path, tasks)])
        assert pair.annotators == ("user 3",) and dropped["answers_repeated"] == len(forms)
    both = [answer("bob@x.org", "match"), answer(4, "match") | {"created_username": " bob@x.org, 4"}]
    assert read_exports([write(tmp_path, [exported(annotations=both)])])[0][0].annotators == ("user 4",)
    unknown = [answer(who, "match") for who in (None, {}, {"id": None}, [], True, 1.5, "", {"email": " "})]
    assert read_exports([write(tmp_path, [exported(annotations=unknown)])])[0][0].votes == (1,) * len(unknown)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (json.dumps([exported()])[:-1].encode() + b", " + b'{"data":' * 50_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "not a Label Studio JSON export"),
        (b"", r"empty.*as JSON"),
        (b"\xff\xfe\xfd", "not a Label Studio|UTF-16"),
        (b"id,image,choice\n1,2,match\n", "not as CSV"),
        (json.dumps([exported(sentence="half \ud83d")]).encode(), "task 0: data.sentence contains a lone surr"),
        (json.dumps([exported(review_id=7)]).encode(), "task 0: data.review_id is a number"),
        (json.dumps([exported(photo={}, image="http://[x")]).encode(), "names the photo"),
    ],
)
def test_a_damaged_export_is_named_for_people(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        read_exports([path])


ODD = (
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    float("nan"),
    "",
    " ",
    "\0",
    "\ud83d",
    "x" * 999,
    [],
    [None],
    [[[]]],
    {},
    {"id": {}},
)


def test_odd_values_anywhere_are_read_or_refused_in_words(tmp_path: Path) -> None:
    """Each value of an export in turn replaced by each odd one."""

    def places(value, place=()):
        yield place
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield from places(inner, (*place, key))

    annotation = answer({"id": 1, "email": "a@b"}, "match") | {"updated_at": "2024-05-02T09:00:00Z"}
    whole = [exported(annotations=[annotation])]
    path = tmp_path / "export.json"
    read = 0
    for place in places(whole):
        for odd in ODD:
            content = json.loads(json.dumps(whole))
            target = content
            for key in place[:-1]:
                target = target[key]
            if place:
                target[place[-1]] = odd
            else:
                content = odd
            path.write_text(json.dumps(content))
            try:
                pairs, _ = read_exports([path])
                read += 1
                json.dumps([pair.photo_id for pair in pairs]).encode()
            except CorpusError as error:
                assert str(error).startswith(str(path)) and " at 0x" not in str(error)
    assert read > 100
