"""Model cards: the README.md beside a model's weights, in the form that the Hugging Face hub reads.

A card has the model's own facts; the caller adds training data and metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CARD_FILE = "README.md"
METHOD = (
    "Yan, He, Li, Zhang, McAuley: *Personalized Showcases: Generating Multi-Modal Explanations for Recommendations*, "
    "SIGIR 2023 (arXiv 2207.00422)"
)
TEMPLATE = """\
---
{front}---

# {title}

{summary}

Method: {method}. Made by Showcases, an implementation of its own; these are not the authors' weights.

## Inputs

{inputs}

## Sizes

| | |
| --- | --- |
{sizes}

## Loading

```python
from {module} import {name}

{variable} = {name}.from_pretrained(".")  # the folder of this file
```

{training}## Limits

{limits}
"""


@dataclass(frozen=True)
class Training:
    """A model's training; empty fields are omitted from the card.

    Attributes:
        data: description of the training data.
        losses: description of the losses.
        metrics: by name, which includes the split.
    """

    data: str = ""
    losses: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """The facts of one model.

    Attributes:
        model: class that loads it, as `module:name`.
        front: further YAML front matter, in addition to the library and the first tag.
        sizes: rows of a table, by label.
    """

    title: str
    model: str
    front: Mapping[str, Any]
    summary: str
    inputs: Sequence[str]
    sizes: Mapping[str, object]
    limits: Sequence[str]

    def to_markdown(self, training: Training | None = None) -> str:
        """The card's text."""
        tags = ["personalized-showcases", *self.front.get("tags", ())]
        front = {"library_name": "showcases", **self.front, "tags": tags}
        module, name = self.model.split(":")
        return TEMPLATE.format(
            front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            title=self.title,
            summary=self.summary,
            method=METHOD,
            inputs=_bullets(self.inputs),
            sizes="\n".join(f"| {what} | {_number(size)} |" for what, size in self.sizes.items()),
            module=module,
            name=name,
            variable=name.lower(),
            training=_training(training or Training()),
            limits=_bullets(self.limits),
        )

    def write(self, folder: Path, training: Training | None = None) -> None:
        """Write README.md into a model's folder."""
        (folder / CARD_FILE).write_text(self.to_markdown(training), encoding="utf-8")


def _training(training: Training) -> str:
    lines = [f"- {what}: {said}" for what, said in (("Data", training.data), ("Loss", training.losses)) if said]
    lines += [f"- {name}: {value:.4g}" for name, value in training.metrics.items()]
    return "## Training\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _number(size: object) -> str:
    return f"{size:,}" if isinstance(size, int) else str(size)
