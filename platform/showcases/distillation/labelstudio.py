"""Label Studio's formats: tasks and labelling config out, JSON export in.

The paper's labels were never released, so everybody who wants the paper's data has to annotate.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from showcases.errors import CorpusError

CHOICES = {"match": 1, "no match": 0}
LABELLING_CONFIG = """\
<!-- Photos are served by Label Studio's local storage: start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
     LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<the folder of photos>, add that folder as local storage, import tasks.json,
     and give jobs.annotate the JSON export (not JSON-MIN) as corpus.labels. -->
<View>
  <Header value="Does the photo show what the sentence says?"/>
  <Text name="text" value="$sentence"/>
  <Image name="image" value="$image" maxWidth="480px"/>
  <Choices name="match" toName="image" choice="single" required="true" showInline="true">
    <Choice value="match" hotkey="1"/>
    <Choice value="no match" hotkey="2"/>
  </Choices>
</View>
"""


@dataclass(frozen=True)
class LabelledPair:
    """A sentence and a photo with the votes of all annotators (1 = the photo shows what is said)."""

    review_id: str
    sentence: str
    sentence_index: int | None  # in the review, where the task says so
    photo_id: str
    votes: tuple[int, ...]


def make_task(review_id: str, sentence: str, sentence_index: int, photo_id: str) -> dict[str, Any]:
    """One Label Studio task; an export carries its `data` back."""
    return {
        "data": {
            "image": f"/data/local-files/?d={photo_id}.jpg",
            "photo_id": photo_id,
            "review_id": review_id,
            "sentence": sentence,
            "sentence_index": sentence_index,
        }
    }


def read_export(path: Path) -> tuple[list[LabelledPair], dict[str, int]]:
    """Read a Label Studio JSON export, by any number of annotators.

    Returns:
        The pairs, each (review, sentence, photo) once, in the file's order; and counts of answers that are no votes:
        `answers_cancelled` (skipped by the annotator), `answers_missing` (no choice made), `answers_repeated` (the
        same annotator labelled the pair before; the last answer counts).

    Raises:
        CorpusError: the file is missing or is no such export; the message says at which task.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorpusError(f"{path}: not a Label Studio JSON export ({error})") from error
    if not isinstance(tasks, list):
        raise CorpusError(f"{path}: a {type(tasks).__name__} at the top; a Label Studio JSON export is a list of tasks")
    dropped: Counter[str] = Counter(answers_cancelled=0, answers_missing=0, answers_repeated=0)
    answers: dict[tuple[str, str, int | None, str], dict[str, int]] = {}
    for number, task in enumerate(tasks):
        where = f"{path}, task {number}"
        pair = _pair(task, where)
        given = answers.setdefault(pair, {})
        for who, vote in _votes(task, where, dropped):
            dropped["answers_repeated"] += who in given
            given[who] = vote
    pairs = [LabelledPair(*pair, votes=tuple(given.values())) for pair, given in answers.items() if given]
    return pairs, dict(dropped)


def _pair(task: Any, where: str) -> tuple[str, str, int | None, str]:
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


def _votes(task: Mapping[str, Any], where: str, dropped: Counter[str]) -> Iterable[tuple[str, int]]:
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
            yield _annotator(annotation, number), CHOICES[choice]


def _choice(result: list[Any], here: str) -> str | None:
    for item in result:
        if not isinstance(item, Mapping) or item.get("type") != "choices":
            continue
        choices = item.get("value", {}).get("choices", [])
        if len(choices) != 1 or choices[0] not in CHOICES:
            raise CorpusError(f"{here}: choices {choices!r}; one of {list(CHOICES)} is allowed")
        return str(choices[0])
    return None


def _annotator(annotation: Mapping[str, Any], number: int) -> str:
    """Who: Label Studio writes an id, or a user with an id; without either every answer is another's."""
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("id", who.get("email"))
    return f"annotation {annotation.get('id', number)}" if who is None else f"user {who}"
