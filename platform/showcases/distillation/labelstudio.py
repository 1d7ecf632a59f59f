"""Read Label Studio's JSON exports: any number of files (rounds of labelling) and annotators.

The paper's labels were never released, so reproducing its data requires annotation. Format of the export:
https://labelstud.io/guide/task_format. Versions differ, so parsing is lenient: `completed_by` is an id, an
e-mail address or an object with either; `result`, `value` and `choices` may be null; there may be other controls.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from showcases.errors import CorpusError
from showcases.gest.reading.opening import Given, find_files, open_input, shown
from showcases.gest.reading.records import kind_of

CHOICES = {"match": 1, "no match": 0}
CONTROL = "match"  # name of the answer's control in the labelling config
CREATED_BY = re.compile(r"\s*(?P<email>\S+@\S+), (?P<id>\d+)\s*")  # `created_username`
SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class LabelledPair:
    """A sentence and a photo with the votes of all annotators (1 = the photo shows what the sentence says).

    Attributes:
        annotators: in the order of votes.
    """

    review_id: str
    sentence: str
    sentence_index: int | None  # index in the review, if known
    photo_id: str
    votes: tuple[int, ...]
    annotators: tuple[str, ...]


@dataclass(frozen=True)
class _Answer:
    who: str
    vote: int
    when: datetime | None  # last changed


@dataclass
class _Reading:
    """State collected while reading the files."""

    dropped: Counter[str] = field(
        default_factory=lambda: Counter(answers_cancelled=0, answers_missing=0, answers_repeated=0)
    )
    controls: dict[str, set[str]] = field(default_factory=dict)  # other controls and their choices
    emails: dict[str, str] = field(default_factory=dict)  # user id by e-mail address


Key = tuple[str, str, int | None, str]  # review, sentence, its number, photo


def check_labels(given: Given) -> list[str]:
    """Check that files are Label Studio exports; reads them completely (10,000 answers are about 10 MB).

    Returns:
        The files, as `find_files` finds them.

    Raises:
        CorpusError: see `read_exports`.
    """
    files = find_files(given)
    read_exports(files)
    return files


def read_exports(given: Given) -> tuple[list[LabelledPair], dict[str, int]]:
    """Read Label Studio JSON exports, one per round.

    Annotators are identified across files by Label Studio's user id or by e-mail address; an address is mapped to the
    id that any of the files gives for it. Of several answers by one annotator to a pair, the last changed one counts,
    or the last one in file order if a time is missing.

    Args:
        given: files (see `find_files`), plain or gzip.

    Returns:
        The pairs, each (review, sentence, photo) once, in the files' order; and counts of answers without a vote:
        `answers_cancelled` (skipped by the annotator), `answers_missing` (no choice made), `answers_repeated` (the
        same annotator labelled the pair again).

    Raises:
        CorpusError: a file is missing or not such an export (names the task); or all answers belong to other controls
            than that of our labelling config.
    """
    reading, answers, files = _Reading(), dict[Key, list[_Answer]](), find_files(given)
    for path in files:
        for number, task in enumerate(_tasks(path)):
            where = f"{shown(path)}, task {number}"
            answers.setdefault(_pair(task, where), []).extend(_answers(task, where, reading))
    pairs = []
    for pair, found in answers.items():
        last = _last(found, reading.emails)
        reading.dropped["answers_repeated"] += len(found) - len(last)
        if last:
            votes = tuple(answer.vote for answer in last.values())
            pairs.append(LabelledPair(*pair, votes=votes, annotators=tuple(last)))
    if not pairs and reading.controls:
        raise CorpusError(_other_controls(files, reading.controls))
    return pairs, dict(reading.dropped)


def _other_controls(files: Sequence[str], controls: Mapping[str, set[str]]) -> str:
    found = "; ".join(f"{name}: {', '.join(sorted(said)[:5])}" for name, said in list(controls.items())[:5])
    names = ", ".join(map(shown, files))
    return (
        f"{names}: no answer of the control `{CONTROL}` with the choices {' and '.join(CHOICES)}; found {found}; label "
        "with labelling_config.xml, which jobs.annotate export writes"
    )


def _last(given: Sequence[_Answer], emails: Mapping[str, str]) -> dict[str, _Answer]:
    """Each annotator's last answer, ordered by first answer."""
    last: dict[str, _Answer] = {}
    for answer in given:
        who = emails.get(answer.who, answer.who)
        before = last.get(who)
        if before is None or not (before.when and answer.when) or answer.when >= before.when:
            last[who] = answer
    return last


def _tasks(path: str) -> list[Any]:
    with open_input(path) as file:
        data = file.stream.read()
    try:
        tasks = json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise CorpusError(f"{file.name}: not a Label Studio JSON export (nested too deeply)") from error
    except ValueError as error:  # not UTF-8, not JSON, or a number with thousands of digits
        problem = "empty" if not data.strip() else str(error)
        raise CorpusError(
            f"{file.name}: not a Label Studio JSON export ({problem}); export as JSON, not as CSV or JSON-MIN"
        ) from error
    if not isinstance(tasks, list):
        raise CorpusError(f"{file.name}: {kind_of(tasks)} at the top; a Label Studio JSON export is a list of tasks")
    return tasks


def _pair(task: Any, where: str) -> Key:
    if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping) or "annotations" not in task:
        raise CorpusError(f"{where}: no `data` and `annotations`; export as JSON (JSON-MIN and CSV lack the votes)")
    data = task["data"]
    texts = {name: data.get(name) for name in ("review_id", "sentence")}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            found = "empty" if value == "" else kind_of(value)
            raise CorpusError(f"{where}: data.{name} is {found}; tasks come from jobs.annotate, with `{name}` in data")
    photo_id = data.get("photo_id")
    if isinstance(photo_id, bool) or not isinstance(photo_id, str | int) or photo_id == "":
        photo_id = _photo_of(data.get("image"))
    if not photo_id:
        raise CorpusError(f"{where}: neither data.photo_id nor data.image names the photo")
    for name, value in (texts | {"photo_id": str(photo_id)}).items():
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise CorpusError(f"{where}: data.{name} contains a lone surrogate, not valid text; repair it")
    index = data.get("sentence_index")
    known = isinstance(index, int) and not isinstance(index, bool)
    return texts["review_id"], texts["sentence"], index if known else None, str(photo_id)


def _photo_of(image: Any) -> str:
    """Photo id in an image's address: `…/<photo id>.jpg`, or Label Studio's `…/?d=<photo id>.jpg`; empty if none."""
    try:
        address = urlsplit(image if isinstance(image, str) else "")
    except ValueError:
        return ""
    local = parse_qs(address.query).get("d")
    return PurePosixPath(local[0] if local else address.path).stem


def _answers(task: Mapping[str, Any], where: str, reading: _Reading) -> Iterator[_Answer]:
    if not isinstance(task["annotations"], list):
        raise CorpusError(f"{where}: `annotations` is {kind_of(task['annotations'])}, not a list; export as JSON")
    for number, annotation in enumerate(task["annotations"]):
        here = f"{where}, annotation {number}"
        result = annotation.get("result", 0) if isinstance(annotation, Mapping) else 0
        if result is not None and not isinstance(result, list):
            raise CorpusError(f"{here}: no list `result`; export as JSON from Label Studio")
        _note_email(annotation, reading.emails)
        if annotation.get("was_cancelled"):
            reading.dropped["answers_cancelled"] += 1
            continue
        vote = _vote(result or [], here, reading.controls)
        if vote is None:
            reading.dropped["answers_missing"] += 1
        else:
            yield _Answer(_annotator(annotation, here), vote, _changed(annotation))


def _vote(result: list[Any], here: str, controls: dict[str, set[str]]) -> int | None:
    """The vote of the control `match`, or of another control with our choices."""
    named: dict[str, list[str]] = {}
    for item in result:
        if isinstance(item, Mapping) and item.get("type") == "choices":
            named.setdefault(str(item.get("from_name")), []).extend(_chosen(item))
    others = {name: chosen for name, chosen in named.items() if name != CONTROL}
    for name, chosen in others.items():
        controls.setdefault(name[:SHOWN], set()).update(choice[:SHOWN] for choice in chosen)
    ours = named.get(CONTROL) or next((c for c in others.values() if any(one in CHOICES for one in c)), [])
    if not ours:
        return None
    if len(ours) != 1 or ours[0] not in CHOICES:
        found = ", ".join(choice[:SHOWN] for choice in ours)
        raise CorpusError(f"{here}: the choice is {found}; one of {' and '.join(CHOICES)} is allowed")
    return CHOICES[ours[0]]


def _chosen(item: Mapping[str, Any]) -> list[str]:
    value = item.get("value")
    choices = value.get("choices") if isinstance(value, Mapping) else None
    chosen = choices if isinstance(choices, list) else [choices]
    return [choice if isinstance(choice, str) else kind_of(choice) for choice in chosen if choice is not None]


def _annotator(annotation: Mapping[str, Any], here: str) -> str:
    """Annotator: an id, an e-mail address, or an object with either; otherwise every answer counts as a new one."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("email") if who.get("id") is None else who["id"]
    if isinstance(who, bool) or not isinstance(who, str | int) or not str(who).strip():
        return here
    return _person(who)


def _person(who: str | int) -> str:
    return f"user {str(who).strip().lower()}"


def _note_email(annotation: Mapping[str, Any], emails: dict[str, str]) -> None:
    """Record the user id of an e-mail address, if the export has both."""
    who, created = annotation.get("completed_by"), annotation.get("created_username")
    if isinstance(who, Mapping) and isinstance(who.get("email"), str) and isinstance(who.get("id"), int | str):
        emails[_person(who["email"])] = _person(who["id"])
    elif isinstance(created, str) and (found := CREATED_BY.fullmatch(created)):
        emails[_person(found["email"])] = _person(found["id"])


def _changed(annotation: Mapping[str, Any]) -> datetime | None:
    """Time of the answer's last change, in UTC as Label Studio writes it; None if missing."""
    try:
        when = datetime.fromisoformat(str(annotation.get("updated_at") or annotation.get("created_at")))
    except ValueError:
        return None
    return when if when.tzinfo else None  # times without a zone can't be compared
