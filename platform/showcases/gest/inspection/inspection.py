"""Report on a workspace: Table 1, Figure 3, histograms, duplicates, leaks; as Markdown, JSON and HTML."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from showcases import paper
from showcases.gest.inspection.duplicates import Duplicates
from showcases.gest.inspection.histograms import Histogram
from showcases.gest.inspection.leaks import Leak
from showcases.pages import page

DIVERSITIES = ("intra_business", "inter_user", "intra_user")
BAR = 40  # characters of the longest bar


@dataclass(frozen=True)
class State:
    """State of an artifact: finished, unfinished or missing; its rows, if its manifest counts them."""

    artifact: str
    step: str
    state: str
    rows: int | None = None


@dataclass(frozen=True)
class Inspection:
    """The findings.

    Attributes:
        table_1: statistics of raw, s1 and s2, if present; figure_3 likewise.
        notes: remarks for the reader.
    """

    root: str
    created: str
    states: tuple[State, ...]
    table_1: Mapping[str, Mapping[str, float]]
    figure_3: Mapping[str, Mapping[str, float]]
    histograms: tuple[Histogram, ...]
    duplicates: tuple[Duplicates, ...]
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> list[Leak]:
        return [leak for leak in self.leaks if leak.failed]

    @property
    def verdict(self) -> str:
        """One line: which leaks were found, none, or that there was nothing to check."""
        if self.errors:
            what = "; ".join(f"{leak.where}: {leak.count:,} × {leak.what}" for leak in self.errors)
            return f"{len(self.errors)} kinds of leak between splits: {what}"
        return "no leak between splits" if self.leaks else "no splits to check for leaks"

    def facts(self) -> dict[str, list[list[str]]]:
        """Table 1 and Figure 3 as rows of cells, the paper's beside ours; the first row is the header."""
        head = ["", *(name.replace("_", " ") for name in paper.TABLE_1_COLUMNS)]
        counted = [head]
        for name, figures in self.table_1.items():
            counted.append([name, *(_number(figures[column]) for column in paper.TABLE_1_COLUMNS)])
            counted.append([f"{name}, paper", *(_number(paper.TABLE_1[name][c]) for c in paper.TABLE_1_COLUMNS)])
        spread = [["", *(name.replace("_", " ") for name in DIVERSITIES)]]
        for name, figures in self.figure_3.items():
            spread.append([name, *(_number(figures[column], 4) for column in DIVERSITIES)])
        return {"Table 1": counted, "Figure 3: visual diversity (mean of 1 − cos)": spread}

    def to_markdown(self) -> str:
        """Report for a terminal or a file."""
        lines = [f"# Data checks of {self.root}", "", f"{self.created}. **{self.verdict}.**", ""]
        lines += ["## Leaks between splits", "", *_leaks(self.leaks), "", "## Duplicates", ""]
        rows = [[one.where, one.what, f"{one.things:,}", f"{one.rows:,}"] for one in self.duplicates]
        lines += _table([["", "what", "different ones", "rows"], *rows])
        for title, cells in self.facts().items():
            lines += ["", f"## {title}", "", *(_table(cells) if len(cells) > 1 else ["Not there."])]
        for histogram in self.histograms:
            lines += ["", f"## {histogram.title}", "", *_bars(histogram)]
        lines += ["", "## Artifacts", "", *_table(self.artifacts()), "", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def artifacts(self) -> list[list[str]]:
        """Rows of cells: artifact, state, rows, what writes it."""
        rows = [[s.artifact, s.state, "" if s.rows is None else f"{s.rows:,}", f"jobs.{s.step}"] for s in self.states]
        return [["artifact", "state", "rows", "written by"], *rows]

    def to_json(self) -> str:
        """Machine-readable report; NaN becomes null."""
        plain = asdict(self) | {"errors": len(self.errors), "verdict": self.verdict}
        return json.dumps(_finite(plain), indent=1, ensure_ascii=False)

    def to_html(self) -> str:
        """One self-contained page; every text is escaped."""
        return page("inspection", found=self)

    def files(self) -> dict[str, bytes]:
        """All formats by file name."""
        texts = {"md": self.to_markdown(), "html": self.to_html(), "json": self.to_json()}
        return {f"inspection.{ending}": text.encode() for ending, text in texts.items()}


def _number(value: float, digits: int = 2) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _leaks(leaks: tuple[Leak, ...]) -> list[str]:
    """A table, then examples."""
    rows = [[leak.where, leak.sign, leak.what, f"{leak.count:,}", leak.shown_rows] for leak in leaks]
    lines = (
        _table([["", "", "in two splits", "different ones", "rows by split"], *rows]) if leaks else ["Not looked for."]
    )
    for leak in leaks:
        lines += ["", f"{leak.where}, {leak.what}:", *(f"- {text}" for text in leak.examples)] if leak.examples else []
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    head, *body = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [head, f"|{' --- |' * len(rows[0])}", *body]


def _bars(histogram: Histogram) -> list[str]:
    """One line per label, as a code block."""
    width = max((len(label) for label, _ in histogram.bars), default=0)
    lines = [
        f"{label:>{width}}  {'█' * max(round(BAR * count / histogram.highest), 1 if count else 0)} {count:,}"
        for label, count in histogram.bars
    ]
    return ["```", *(lines or ["nothing"]), "```", f"{histogram.total:,} {histogram.counted}"]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
