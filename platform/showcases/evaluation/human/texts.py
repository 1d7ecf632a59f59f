"""Texts of models as JSON lines: to store our own, and to compare other models'."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from showcases.errors import StudyError
from showcases.evaluation.examples import Example
from showcases.evaluation.human.key import Subject

Texts = dict[str, dict[str, str]]  # by model, then by review id


def read_texts(path: Path) -> Texts:
    """Texts of a file of lines {"review_id": …, "model": …, "text": …}; models in order of appearance.

    Raises:
        StudyError: a line is invalid, or repeats a text.
    """
    found: Texts = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may contain U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a file of texts ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            review, model, text = (row[name] for name in ("review_id", "model", "text"))
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: not a JSON object with review_id, model and text") from error
        if not all(isinstance(value, str) for value in (review, model, text)) or not model:
            raise StudyError(f"{path}, line {number}: review_id, model and text must be strings")
        if review in found.setdefault(model, {}):
            raise StudyError(f"{path}, line {number}: a second text of {model} for {review}")
        found[model][review] = text
    return found


def to_lines(texts: Texts) -> str:
    """Serialize texts for `read_texts`."""
    rows = ({"review_id": r, "model": model, "text": t} for model, said in texts.items() for r, t in said.items())
    return "".join(json.dumps(row) + "\n" for row in rows)


def subjects_of(
    examples: Iterable[Example], models: Sequence[str], texts: Texts, readable: Mapping[str, object]
) -> list[Subject]:
    """The examples that have a text of every model and whose photos can all be shown.

    Args:
        readable: photos by id.
    """
    return [
        Subject(example.review_id, tuple(example.shown), {model: texts[model][example.review_id] for model in models})
        for example in examples
        if all(example.review_id in texts.get(model, {}) for model in models)
        and all(name in readable for name in example.shown)
    ]
