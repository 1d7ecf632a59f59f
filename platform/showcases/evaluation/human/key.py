"""The key of a study: which text, of which model, hides behind each token. It stays with the researcher."""

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
    """A test example: the photos that judges see, and the text of each model.

    Attributes:
        photos: ids, in the order shown.
        texts: by model.
    """

    review_id: str
    photos: tuple[str, ...]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Item:
    """One task of one judge: each judge has a token of their own for the same text.

    Attributes:
        token: random; all that a judge's files say about where the text comes from.
        judge: number, from 1.
        kind: a model's text, or an attention check.
        photos: ids.
        review_id: of the example; of a check, of the example whose photos it borrows.
        model: empty for a check.
        expected: of a check, the (lowest, highest) rating that passes, by question.
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
    """All that the researcher keeps.

    Attributes:
        name: random; stands in every file that judges get and give back.
        models: compared, ours last.
        judges: how many.
        items: of all judges, each judge's in the order shown.
        made_of: where texts and photos come from, and with which options; for the record.
    """

    name: str
    models: tuple[str, ...]
    judges: int
    items: tuple[Item, ...]
    made_of: Mapping[str, Any] = field(default_factory=dict)

    def of_judge(self, judge: int) -> list[Item]:
        """A judge's tasks in the order shown."""
        return [item for item in self.items if item.judge == judge]

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False, indent=1)


def read_key(path: Path) -> Study:
    """The study behind a key.json.

    Raises:
        StudyError: there is none, or it is no key.
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
