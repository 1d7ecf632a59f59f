"""The key of a study: maps each token to a text and its model. For the researcher only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from showcases.errors import StudyError

VERSION = 1
Kind = Literal["text", "instructed", "scrambled"]


@dataclass(frozen=True)
class Subject:
    """A test example: the photos shown to judges, and each model's text.

    Attributes:
        photos: ids, in display order.
        texts: by model.
    """

    review_id: str
    photos: tuple[str, ...]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Item:
    """One task of one judge; tokens differ between judges, also for the same text.

    Attributes:
        token: random; the only reference to the text's origin in a judge's files.
        judge: number, from 1.
        kind: a model's text, or an attention check.
        photos: ids.
        review_id: of the example; for a check, of the example whose photos it uses.
        model: empty for a check.
        expected: for a check, the range (lowest, highest) of passing ratings by question.
    """

    token: str
    judge: int
    kind: Kind
    text: str
    photos: tuple[str, ...]
    review_id: str
    model: str = ""
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """The researcher's record of a study.

    Attributes:
        name: random; included in every file for judges and in their exports.
        models: the compared ones, ours last.
        judges: number of judges.
        items: of all judges, each judge's in display order.
        made_of: origin of texts and photos, and the options; for reference.
    """

    name: str
    models: tuple[str, ...]
    judges: int
    items: tuple[Item, ...]
    made_of: Mapping[str, Any] = field(default_factory=dict)

    def of_judge(self, judge: int) -> list[Item]:
        """A judge's tasks in display order."""
        return [item for item in self.items if item.judge == judge]

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False, indent=1)


def read_key(path: Path) -> Study:
    """Read a key.json.

    Raises:
        StudyError: it is missing or invalid.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("version") != VERSION:
            raise StudyError(f"{path}: a key of another version; this one reads version {VERSION}")
        items = tuple(_item(values) for values in data.pop("items"))
        return Study(**{**data, "models": tuple(data["models"])}, items=items)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path}: not the key.json that `jobs.human_study export` wrote ({error})") from error


def _item(values: dict[str, Any]) -> Item:
    expected = {name: (int(low), int(high)) for name, (low, high) in values["expected"].items()}
    return Item(**{**values, "photos": tuple(values["photos"]), "expected": expected})
