"""Import of judges' answers: Label Studio's JSON exports, validated against the key."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from showcases.errors import StudyError
from showcases.evaluation.human.key import Item, Study
from showcases.evaluation.human.questions import HIGHEST, LOWEST, NAMES

EXAMPLES = 5  # listed per kind of fault


@dataclass(frozen=True)
class Answer:
    """One judge's answer to one task.

    Attributes:
        ratings: raw values by question, not validated.
        at: time, ISO 8601; empty if unknown.
        where: file and position, for messages.
        who: Label Studio user.
        cancelled: whether the judge skipped the task.
    """

    token: Any
    ratings: Mapping[str, Any]
    at: str
    where: str
    who: str
    cancelled: bool = False


@dataclass
class Collected:
    """All valid answers, and the faults found.

    Attributes:
        ratings: by token, then by question, 1 to 5.
        faults: positions by kind.
    """

    study: Study
    ratings: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, kind: str, where: str) -> None:
        self.faults.setdefault(kind, []).append(where)

    def missing(self) -> list[tuple[Item, list[str]]]:
        """Tasks with their unanswered questions."""
        lacking = ((item, [n for n in NAMES if n not in self.ratings.get(item.token, {})]) for item in self.study.items)
        return [(item, names) for item, names in lacking if names]

    def report(self) -> list[str]:
        """Faults and missing answers, one line each, for display."""
        lines = []
        for kind, places in self.faults.items():
            more = f", and {len(places) - EXAMPLES} more" if len(places) > EXAMPLES else ""
            lines.append(f"{len(places)} {kind}: {'; '.join(places[:EXAMPLES])}{more}")
        missing = Counter(item.judge for item, _ in self.missing())
        for judge in range(1, self.study.judges + 1):
            total = len(self.study.of_judge(judge))
            if missing[judge]:
                lines.append(f"judge {judge}: {missing[judge]} of {total} tasks lack an answer")
        return lines


def collect(study: Study, paths: Sequence[Path]) -> Collected:
    """Read any number of exports. If a task was answered repeatedly, the latest answer counts.

    Raises:
        StudyError: a file is missing, not an export, or of another study; or no answer is valid.
    """
    answers = [answer for path in paths for answer in read_answers(path, study.name)]
    result = Collected(study)
    known = {item.token for item in study.items}
    people: dict[str, str] = {}
    for answer in sorted(answers, key=_when):  # stable: without times, the later position counts
        if answer.token not in known:
            result.fault("answers to unknown tokens", answer.where)
        elif answer.cancelled:
            result.fault("cancelled answers", answer.where)
        else:
            if people.setdefault(answer.token, answer.who) != answer.who:
                result.fault("tasks answered by two people", answer.where)
            _take(result, answer)
    if not result.ratings:
        raise StudyError(f"no valid answer; {'; '.join(result.report())}")
    return result


def _take(result: Collected, answer: Answer) -> None:
    good = {}
    for name in NAMES:
        rating = answer.ratings.get(name)
        if rating is None:
            continue
        if isinstance(rating, bool) or not isinstance(rating, int) or not LOWEST <= rating <= HIGHEST:
            result.fault(f"ratings that are no whole number from {LOWEST} to {HIGHEST}", f"{answer.where}: {rating!r}")
        else:
            good[name] = rating
    if not good:
        result.fault("answers without a rating", answer.where)
        return
    before = result.ratings.get(answer.token)
    if before is not None and before != good:
        result.fault("answers changed by a later one", answer.where)
    result.ratings[answer.token] = {**(before or {}), **good}


def _when(answer: Answer) -> float:
    try:
        moment = datetime.datetime.fromisoformat(answer.at)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def read_answers(path: Path, study: str) -> list[Answer]:
    """The answers of one export.

    Raises:
        StudyError: as for `collect`.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudyError(f"{path}: not a file of answers ({error})") from error
    try:
        return list(_of_label_studio(data, path, study))
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"{path}: not a Label Studio JSON export ({type(error).__name__}: {error}); "
            "export as JSON (JSON-MIN and CSV are other formats)"
        ) from error


def _of_label_studio(tasks: Iterable[Any], path: Path, study: str) -> Iterator[Answer]:
    for number, task in enumerate(tasks):
        _same_study(task["data"]["study"], study, path)
        for place, annotation in enumerate(task["annotations"]):
            who = annotation.get("completed_by")
            who = who.get("id", who.get("email")) if isinstance(who, Mapping) else who
            yield Answer(
                token=task["data"]["token"],
                ratings=dict(_rated(result) for result in annotation["result"]),
                at=str(annotation.get("updated_at") or annotation.get("created_at") or ""),
                where=f"{path.name}, task {number}, annotation {place}",
                who=str(who),
                cancelled=bool(annotation.get("was_cancelled")),
            )


def _rated(result: Mapping[str, Any]) -> tuple[str, Any]:
    """Question and rating of one result: radio buttons (`choices`), or stars in a changed configuration."""
    value = result["value"]
    if "rating" in value:
        return result["from_name"], value["rating"]
    choices = value.get("choices", [])
    if len(choices) == 1 and str(choices[0])[:1].isdigit():  # the alias, or `4 – good` if it was not exported
        number = str(choices[0]).split(" ")[0]
        return result["from_name"], int(number) if number.isdecimal() else choices[0]
    return result["from_name"], choices or None


def _same_study(found: Any, study: str, path: Path) -> None:
    if found != study:
        raise StudyError(f"{path}: of study {found!r}, but the key is of {study!r}; use that export's key.json")
