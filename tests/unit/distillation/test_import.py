"""A hand-made export as Label Studio 1.x writes it: three annotators, agreement worked out by hand."""

import csv
import io
import json
from pathlib import Path

import pytest

from showcases.distillation.annotations import ReviewPairs, from_votes
from showcases.distillation.disagreements import as_csv, rank
from showcases.distillation.labelstudio import read_exports

SENTENCES = {0: "Good ramen.", 1: "The patio is quiet.", 2: "We waited an hour."}
REVIEW = ReviewPairs("u_b", "b", SENTENCES, ["p1", "p2", "p3"])


def annotation(number: int, task: int, who: int, choice: str | None, minute: int = 0, cancelled: bool = False) -> dict:
    """One answer, with every field that Label Studio 1.x exports."""
    chosen = {"value": {"choices": [choice]}, "id": f"r{number}", "from_name": "match", "to_name": "image"}
    return {
        "id": number,
        "completed_by": who,
        "result": [] if choice is None else [chosen | {"type": "choices", "origin": "manual"}],
        "was_cancelled": cancelled,
        "ground_truth": False,
        "created_at": "2024-05-01T08:00:00.120000Z",
        "updated_at": f"2024-05-01T08:{minute:02d}:00.120000Z",
        "draft_created_at": None,
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 0 if choice is None else 1,
        "unique_id": f"7e8c79f1-49ce-471c-8b26-{number:012d}",
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "task": task,
        "project": 2,
        "updated_by": who,
        "parent_prediction": None,
        "parent_annotation": None,
        "last_created_by": None,
    }


def task(number: int, sentence: int, photo: str, *annotations: dict) -> dict:
    """One task, with every field that Label Studio 1.x exports."""
    cancelled = sum(answer["was_cancelled"] for answer in annotations)
    return {
        "id": 40 + number,
        "annotations": list(annotations),
        "file_upload": "5b1e3483-tasks.json",
        "drafts": [],
        "predictions": [],
        "data": {
            "image": f"/data/local-files/?d=photos/{photo}.jpg",
            "html": f"<p><mark>{SENTENCES[sentence]}</mark></p>",
            "photo_id": photo,
            "review_id": "u_b",
            "sentence": SENTENCES[sentence],
            "sentence_index": sentence,
        },
        "meta": {},
        "created_at": "2024-05-01T07:00:00.000000Z",
        "updated_at": "2024-05-01T09:00:00.000000Z",
        "allow_skip": True,
        "inner_id": number,
        "total_annotations": len(annotations) - cancelled,
        "cancelled_annotations": cancelled,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 2,
        "updated_by": 1,
        "comment_authors": [],
    }


def three(number: int, sentence: int, photo: str, votes: str) -> dict:
    """A task that users 1, 2 and 3 answered, y or n each."""
    words = {"y": "match", "n": "no match"}
    answers = [annotation(100 * number + who, number, who, words[vote]) for who, vote in enumerate(votes, 1)]
    return task(number, sentence, photo, *answers)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Votes of users 1, 2, 3: yyy, yyn, nnn, nyn, yn and a skip, nobody, yyy."""
    again = three(4, 1, "p1", "nnn")  # user 2 said no match, came back and said match; the later one stands first
    again["annotations"].insert(0, annotation(499, 4, 2, "match", minute=30))
    skipped = annotation(503, 5, 3, "match", cancelled=True)  # a skip keeps what was chosen before
    tasks = [
        three(1, 0, "p1", "yyy"),
        three(2, 0, "p2", "yyn"),
        three(3, 0, "p3", "nnn"),
        again,
        task(5, 1, "p2", annotation(501, 5, 1, "match"), annotation(502, 5, 2, "no match"), skipped),
        task(6, 1, "p3"),
        three(7, 2, "p1", "yyy"),
    ]
    path = tmp_path / "project-2-at-2024-05-01-10-00-0a1b2c3d.json"
    path.write_text(json.dumps(tasks))
    return path


def test_alpha_kappa_and_labels_as_worked_out_by_hand(export: Path) -> None:
    labelled, dropped = read_exports([export])
    result = from_votes(labelled, [REVIEW], seed=0, dropped=dropped)
    assert result.dropped == {"answers_cancelled": 1, "answers_repeated": 1, "ties": 1}
    labels = [(row["sentence_id"], row["photo_id"], row["label"]) for row in result.table.to_pylist()]
    assert labels == [
        ("u_b:0", "p1", 1),
        ("u_b:0", "p2", 1),
        ("u_b:0", "p3", 0),
        ("u_b:1", "p1", 0),
        ("u_b:2", "p1", 1),
    ]
    agreement = result.agreement
    # Krippendorff's alpha. 17 votes: yyy yyn nnn nyn yn yyy, 10 y and 7 n.
    # Observed: a pair with a y and b n among m votes adds 2ab / (m - 1): yyn 2, nyn 2, yn 2; 6 in all.
    # Expected: 2 * 10 * 7 / (17 - 1) = 8.75. alpha = 1 - 6 / 8.75 = 11/35.
    assert agreement.krippendorff_alpha == pytest.approx(11 / 35)
    # Fleiss' kappa, on the five pairs with three votes: 9 y and 6 n of 15.
    # Chance: 0.6² + 0.4² = 0.52. Observed, couples alike of three: 1, 1/3, 1, 1/3, 1; mean 11/15.
    # kappa = (11/15 - 0.52) / (1 - 0.52) = 4/9.
    assert agreement.fleiss_kappa == pytest.approx(4 / 9)
    assert (agreement.fleiss_pairs, agreement.fleiss_raters, agreement.pairs_with_two) == (5, 3, 6)
    # Couples: three for each of five pairs and one of yn, 16; alike are 3, 1, 3, 1, 0, 3: 11.
    assert agreement.percent_agreement == pytest.approx(100 * 11 / 16)
    assert agreement.answers == {"user 1": 6, "user 2": 6, "user 3": 5} and agreement.disputed == 3
    told = "\n".join(agreement.lines())
    assert "alpha 0.314" in told and "kappa 0.444 on 5 of 6 pairs" in told
    # With the label on the five decided pairs: user 1 always, user 2 but for nyn, user 3 but for yyn.
    skills = [(skill.annotator, skill.answers, skill.agreeing) for skill in result.consensus.skills]
    assert skills == [("user 1", 5, 1.0), ("user 2", 5, 0.8), ("user 3", 5, 0.8)]


def test_the_most_even_votes_lead_the_disagreements(export: Path) -> None:
    result = from_votes(read_exports([export])[0], [REVIEW], seed=0)
    rows = list(csv.DictReader(io.StringIO(as_csv(rank(result.disputes)))))
    assert [(row["sentence_id"], row["photo_id"]) for row in rows] == [
        ("u_b:1", "p2"),
        ("u_b:0", "p2"),
        ("u_b:1", "p1"),
    ]
    first = rows[0]
    assert (first["user 1"], first["user 2"], first["user 3"], first["label"]) == ("match", "no match", "", "")
    assert (rows[1]["match"], rows[1]["no match"], rows[1]["label"]) == ("2", "1", "1")


def test_a_second_round_joins_the_first(export: Path, tmp_path: Path) -> None:
    later = task(1, 1, "p2", annotation(900, 1, 2, "match", minute=50), annotation(901, 1, 3, "match", minute=50))
    second = tmp_path / "second.json"
    second.write_text(json.dumps([later]))
    labelled, dropped = read_exports([export, second])
    [settled] = [pair for pair in labelled if (pair.sentence_index, pair.photo_id) == (1, "p2")]
    assert dict(zip(settled.annotators, settled.votes, strict=True)) == {"user 1": 1, "user 2": 1, "user 3": 1}
    assert dropped["answers_repeated"] == 2 and "ties" not in from_votes(labelled, [REVIEW], seed=0).dropped


def test_nobody_answered_twice(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(
        json.dumps([task(1, 0, "p1", annotation(1, 1, 1, "match")), task(2, 0, "p2", annotation(2, 2, 1, "no match"))])
    )
    agreement = from_votes(read_exports([path])[0], [REVIEW], seed=0).agreement
    assert agreement.krippendorff_alpha is agreement.fleiss_kappa is agreement.percent_agreement is None
    assert "agreement: unknown" in agreement.lines()[0]
