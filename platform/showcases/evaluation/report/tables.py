"""Tables of figures: mean and spread over seeds, the paper's beside ours; Markdown for people, CSV for programs."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from showcases.metrics.text import Figure

NONE = "–"
CSV_COLUMNS = (
    "row",
    "metric",
    "value",
    "std",
    "low",
    "high",
    "p",
    "seeds",
    "n",
    "library",
    "tokenizer",
    "note",
    "paper_as_printed",
)


@dataclass(frozen=True)
class Column:
    """How a column is printed: value * scale, with `digits` after the point."""

    name: str
    scale: float = 100.0  # shares are printed in percent
    digits: int = 2

    def number(self, value: float) -> str:
        """As printed."""
        return f"{value * self.scale:,.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """One system.

    Attributes:
        figures: by column, one per seed.
        paper: its figures in the paper, as printed there.
    """

    name: str
    figures: Mapping[str, Sequence[Figure]]
    paper: Mapping[str, float] = field(default_factory=dict)

    def value(self, column: str) -> tuple[float | None, float | None]:
        """Mean over the seeds, and the sample standard deviation (None for one seed); (None, None) if n/a."""
        values = [f.value for f in self.figures.get(column, ()) if f.value is not None and math.isfinite(f.value)]
        if not values:
            return None, None
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None

    def certainty(self, column: str) -> tuple[tuple[float, float] | None, float | None]:
        """Interval over the examples, and a difference's p; (None, None) for several seeds."""
        figures = [figure for figure in self.figures.get(column, ()) if figure.value is not None]
        return (figures[0].interval, figures[0].p) if len(figures) == 1 else (None, None)


@dataclass(frozen=True)
class Table:
    """A table of the report; `name` is its file name, `notes` are shown below it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def cell(self, row: Row, column: Column) -> str:
        """The formatted value: `12.34`, `12.34 [11.20, 13.40]`, `12.34 ± 0.56`, the reason if there is none, or a dash.

        One seed's figure has its interval over the examples, several seeds' their spread.
        """
        mean, spread = row.value(column.name)
        if mean is None:
            figures = row.figures.get(column.name, ())
            return next((figure.note for figure in figures if figure.note), NONE)
        text = column.number(mean)
        if spread is not None:
            return f"{text} ± {column.number(spread)}"
        interval, p = row.certainty(column.name)
        text += f" [{column.number(interval[0])}, {column.number(interval[1])}]" if interval else ""
        return text if p is None else f"{text}, p {'< 0.001' if p < 0.0005 else f'= {p:.3f}'}"

    def paper_cell(self, row: Row, column: Column) -> str:
        """The paper's value as printed there, or an empty string."""
        value = row.paper.get(column.name)
        return "" if value is None else f"{value:,.{column.digits}f}"

    def sources(self) -> list[str]:
        """Libraries and tokenizers with the columns they computed, without our own averages."""
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

    def side_by_side(self) -> str:
        """`paper | ours | ±` for every figure that the paper has, one block per column; empty if it has none."""
        lines = []
        for column in self.columns:
            rows = [row for row in self.rows if column.name in row.paper]
            lines += [f"| {column.name} | paper | ours | ± |", "| --- | ---: | ---: | ---: |"] if rows else []
            for row in rows:
                mean, spread = row.value(column.name)
                ours = self.cell(row, column) if mean is None else column.number(mean)
                spread_text = NONE if spread is None else column.number(spread)
                lines.append(f"| {row.name} | {self.paper_cell(row, column)} | {ours} | {spread_text} |")
            lines += [""] if rows else []
        return "\n".join(lines)

    def _sources_line(self) -> list[str]:
        sources = self.sources()
        return ["- measured by: " + ". ".join(sources) + "."] if sources else []

    def to_csv(self) -> str:
        """One line per cell: row, metric, value, spread and interval (unscaled), seeds, n, source, paper."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for row in self.rows:
            for column in self.columns:
                figures = row.figures.get(column.name, ())
                if not figures and column.name not in row.paper:
                    continue
                first = figures[0] if figures else Figure(None, 0, "")
                mean, spread = row.value(column.name)
                interval, p = row.certainty(column.name)
                measured = (first.n, first.library, first.tokenizer, first.note)
                printed = row.paper.get(column.name)
                certain = (spread, *(interval or (None, None)), p, len(figures))
                writer.writerow((row.name, column.name, mean, *certain, *measured, printed))
        return text.getvalue()


def _source(figure: Figure) -> str:
    return f"{figure.library} ({figure.tokenizer})" if figure.tokenizer else ""
