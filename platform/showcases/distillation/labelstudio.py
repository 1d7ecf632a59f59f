"""Label Studio's JSON exports in: any number of files (rounds of labelling), any number of annotators.

The paper's labels were never released, so everybody who wants the paper's data has to annotate.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from showcases.errors import CorpusError

CHOICES = {"match": 1, "no match": 0}


@dataclass(frozen=True)
class LabelledPair:
    """A sentence and a photo with the votes of all annotators (1 = the photo shows what is said).

    Attributes:
        annotators: who gave each vote, in the votes' order.
    """

    review_id: str
    sentence: str
    sentence_index: int | None  # in the review, where the task says so
    photo_id: str
    votes: tuple[int, ...]
    annotators: tuple[str, ...]


@dataclass(frozen=True)
class _Answer:
    who: str
    vote: int
    when: datetime | None  # last changed


Key = tuple[str, str, int | None, str]  # review, sentence, its number, photo


def read_exports(paths: Sequence[Path]) -> tuple[list[LabelledPair], dict[str, int]]:
    """Read Label Studio JSON exports, one a round; a person is known by Label Studio's user id in all of them.

    Where the same person answered a pair more than once, the answer counts that was changed last; by the order of the
    files and in them, where a time is missing.

    Returns:
        The pairs, each (review, sentence, photo) once, in the files' order; and counts of answers that are no votes:
        `answers_cancelled` (skipped by the annotator), `answers_missing` (no choice made), `answers_repeated` (the
        same annotator labelled the pair again).

    Raises:
        CorpusError: a file is missing or is no such export; the message says at which task.
    """
    dropped: Counter[str] = Counter(answers_cancelled=0, answers_missing=0, answers_repeated=0)
    answers: dict[Key, list[_Answer]] = {}
    for path in paths:
        for number, task in enumerate(_tasks(path)):
            where = f"{path}, task {number}"
            answers.setdefault(_pair(task, where), []).extend(_answers(task, where, dropped))
    pairs = []
    for pair, given in answers.items():
        last = _last(given)
        dropped["answers_repeated"] += len(given) - len(last)
        if last:
            votes = tuple(answer.vote for answer in last.values())
            pairs.append(LabelledPair(*pair, votes=votes, annotators=tuple(last)))
    return pairs, dict(dropped)


def _last(given: Sequence[_Answer]) -> dict[str, _Answer]:
    """Each annotator's last answer, annotators in the order of their first."""
    last: dict[str, _Answer] = {}
    for answer in given:
        before = last.get(answer.who)
        if before is None or not (before.when and answer.when) or answer.when >= before.when:
            last[answer.who] = answer
    return last


def _tasks(path: Path) -> list[Any]:
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorpusError(f"{path}: not a Label Studio JSON export ({error})") from error
    if not isinstance(tasks, list):
        raise CorpusError(f"{path}: a {type(tasks).__name__} at the top; a Label Studio JSON export is a list of tasks")
    return tasks


def _pair(task: Any, where: str) -> Key:
    if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping) or "annotations" not in task:
        raise CorpusError(f"{where}: no `data` and `annotations`; export as JSON (JSON-MIN and CSV lack the votes)")
    data = task["data"]
    photo_id = data.get("photo_id") or _photo_of(str(data.get("image", "")))
    for name, value in (("review_id", data.get("review_id")), ("sentence", data.get("sentence"))):
        if not isinstance(value, str) or not value:
            raise CorpusError(
                f"{where}: data.{name} is {value!r}; tasks come from jobs.annotate, with `{name}` in data"
            )
    if not photo_id:
        raise CorpusError(f"{where}: neither data.photo_id nor data.image names the photo")
    index = data.get("sentence_index")
    return data["review_id"], data["sentence"], index if isinstance(index, int) else None, str(photo_id)


def _photo_of(image: str) -> str:
    """Photo id in an image's address: `…/<photo id>.jpg`, or Label Studio's `…/?d=<photo id>.jpg`."""
    address = urlsplit(image)
    local = parse_qs(address.query).get("d")
    return PurePosixPath(local[0] if local else address.path).stem


def _answers(task: Mapping[str, Any], where: str, dropped: Counter[str]) -> Iterator[_Answer]:
    if not isinstance(task["annotations"], list):
        raise CorpusError(f"{where}: `annotations` is no list; export as JSON from Label Studio")
    for number, annotation in enumerate(task["annotations"]):
        here = f"{where}, annotation {number}"
        if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result"), list):
            raise CorpusError(f"{here}: no list `result`; export as JSON from Label Studio")
        choice = _choice(annotation["result"], here)
        if annotation.get("was_cancelled"):
            dropped["answers_cancelled"] += 1
        elif choice is None:
            dropped["answers_missing"] += 1
        else:
            yield _Answer(_annotator(annotation, here), CHOICES[choice], _changed(annotation))


def _choice(result: list[Any], here: str) -> str | None:
    for item in result:
        if not isinstance(item, Mapping) or item.get("type") != "choices":
            continue
        choices = item.get("value", {}).get("choices", [])
        if len(choices) != 1 or choices[0] not in CHOICES:
            raise CorpusError(f"{here}: choices {choices!r}; one of {list(CHOICES)} is allowed")
        return str(choices[0])
    return None


def _annotator(annotation: Mapping[str, Any], here: str) -> str:
    """Who: Label Studio writes an id, or a user with an id; without either every answer is another's."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("id", who.get("email"))
    return here if who is None else f"user {who}"


def _changed(annotation: Mapping[str, Any]) -> datetime | None:
    """When the answer was last changed, in UTC as Label Studio writes it; none where it does not say."""
    try:
        when = datetime.fromisoformat(str(annotation.get("updated_at") or annotation.get("created_at")))
    except ValueError:
        return None
    return when if when.tzinfo else None  # a time of nowhere cannot be compared
