"""Tables of figures: mean and spread over seeds, the paper's beside ours; Markdown for people, CSV for programs."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from showcases.evaluation.text_metrics import Figure

NONE = "–"


@dataclass(frozen=True)
class Column:
    """How a column is printed: value * scale, with `digits` after the point."""

    name: str
    scale: float = 100.0  # shares are printed in percent
    digits: int = 2


@dataclass(frozen=True)
class Row:
    """One system.

    Attributes:
        figures: by column, one for each seed.
        paper: its figures in the paper, as printed there.
    """

    name: str
    figures: Mapping[str, Sequence[Figure]]
    paper: Mapping[str, float] = field(default_factory=dict)

    def value(self, column: str) -> tuple[float | None, float | None]:
        """Mean over the seeds, and the sample standard deviation (None for one seed); (None, None) where n/a."""
        values = [f.value for f in self.figures.get(column, ()) if f.value is not None and math.isfinite(f.value)]
        if not values:
            return None, None
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Table:
    """A table of the report; `name` is its file's name, `notes` say what must be known to read it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def cell(self, row: Row, column: Column) -> str:
        """The value as printed: `12.34`, `12.34 ± 0.56`, why there is none, or a dash."""
        mean, spread = row.value(column.name)
        if mean is None:
            figures = row.figures.get(column.name, ())
            return next((figure.note for figure in figures if figure.note), NONE)
        text = f"{mean * column.scale:.{column.digits}f}"
        return text if spread is None else f"{text} ± {spread * column.scale:.{column.digits}f}"

    def paper_cell(self, row: Row, column: Column) -> str:
        """The paper's value as printed there, or nothing."""
        value = row.paper.get(column.name)
        return "" if value is None else f"{value:,.{column.digits}f}"

    def sources(self) -> list[str]:
        """Libraries and tokenizers, each with the columns that they made; plain averages of our own are left out."""
        columns: dict[str, list[str]] = {}
        for column in self.columns:
            figures = [f for row in self.rows for f in row.figures.get(column.name, ()) if f.value is not None]
            for source in dict.fromkeys(_source(figure) for figure in figures):
                if source:
                    columns.setdefault(source, []).append(column.name)
        return [f"{', '.join(names)}: {source}" for source, names in columns.items()]

    def to_markdown(self) -> str:
        """Title, rows (the paper's below, in italics), notes."""
        names = [column.name for column in self.columns]
        lines = [f"### {self.title}", "", f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
        for row in self.rows:
            lines.append(f"| {row.name} | {' | '.join(self.cell(row, column) for column in self.columns)} |")
        for row in self.rows:
            if row.paper:
                cells = (self.paper_cell(row, column) or NONE for column in self.columns)
                lines.append(f"| *paper: {row.name}* | {' | '.join(f'*{cell}*' for cell in cells)} |")
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes), *self._sources_line()]) + "\n"

    def _sources_line(self) -> list[str]:
        sources = self.sources()
        return ["- measured by: " + ". ".join(sources) + "."] if sources else []

    def to_csv(self) -> str:
        """One line a cell: row, metric, value and spread (unscaled), seeds, n, library, tokenizer, note, paper."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ("row", "metric", "value", "std", "seeds", "n", "library", "tokenizer", "note", "paper_as_printed")
        )
        for row in self.rows:
            for column in self.columns:
                figures = row.figures.get(column.name, ())
                if not figures and column.name not in row.paper:
                    continue
                first = figures[0] if figures else Figure(None, 0, "")
                mean, spread = row.value(column.name)
                measured = (first.n, first.library, first.tokenizer, first.note)
                printed = row.paper.get(column.name)
                writer.writerow((row.name, column.name, mean, spread, len(figures), *measured, printed))
        return text.getvalue()


def _source(figure: Figure) -> str:
    return f"{figure.library} ({figure.tokenizer})" if figure.tokenizer else ""
