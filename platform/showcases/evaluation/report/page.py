"""The report: Markdown for a terminal, CSV for programs, one self-contained HTML page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from showcases import paper
from showcases.evaluation.report.drawing import Picture
from showcases.evaluation.report.gallery import Showcase
from showcases.evaluation.report.tables import Table
from showcases.pages import page


@dataclass(frozen=True)
class Labels:
    """The classifier's figures and the source of its labels (manifests of `annotations` and `classifier`)."""

    source: str  # people, weak, or people+weak
    pairs: int
    auc: float
    f1: float
    threshold: float
    test_pairs: int
    agreement: float | None = None

    def sentence(self) -> str:
        """Summary sentence."""
        if self.source.startswith("people"):
            agreed = (
                "" if self.agreement is None else f"; they agree with a Krippendorff's alpha of {self.agreement:.3f}"
            )
            weak = ", filled up with weak labels from CLIP similarity that are trained on and not measured on"
            filled = weak if self.source == "people+weak" else ""
            whose = f"{self.pairs:,} pairs labelled by annotators{filled}{agreed}"
        else:
            whose = (
                f"{self.pairs:,} weak labels made from CLIP similarity: no person labelled them, and figures against "
                "them say little about what people see"
            )
        return (
            f"The classifier of (sentence, photo) pairs learned from {whose}. On {self.test_pairs:,} held-out pairs of "
            f"them its AUC is {self.auc:.3f} and its F1 {self.f1:.3f} "
            f"(paper, on its own labels: {paper.CLASSIFIER['auc']}, {paper.CLASSIFIER['f1']})."
        )


@dataclass(frozen=True)
class Report:
    """Content of the report.

    Attributes:
        encoder: model id of the CLIP.
        left_out: counts of dropped rows by artifact and reason.
        pictures: each is shown beside the table of its name.
        summary: lines above the tables.
    """

    title: str
    encoder: str
    created: str
    tables: Sequence[Table]
    labels: Labels
    left_out: Mapping[str, Mapping[str, int]]
    showcases: Sequence[Showcase] = field(default_factory=tuple)
    pictures: Sequence[Picture] = field(default_factory=tuple)
    summary: Sequence[str] = field(default_factory=tuple)

    def to_markdown(self) -> str:
        """Tables, classifier, dropped rows."""
        lines = [f"# {self.title}", "", f"Encoder {self.encoder}; {self.created}.", ""]
        lines += [*(f"- {line}" for line in self.summary), ""] if self.summary else []
        for table in self.tables:
            lines += [table.to_markdown()]
            lines += [f"![{each.alt}]({each.name}.png)\n\n{each.caption}\n" for each in self.pictures_of(table)]
        lines += ["### The classifier", "", self.labels.sentence(), "", "### Left out", ""]
        lines += [
            f"- {artifact}: {', '.join(f'{count:,} {reason}' for reason, count in reasons.items())}"
            for artifact, reasons in self.shown_left_out().items()
        ] or ["- nothing"]
        return "\n".join(lines) + "\n"

    def pictures_of(self, table: Table) -> list[Picture]:
        """Pictures shown beside a table."""
        return [picture for picture in self.pictures if picture.name == table.name]

    def models(self) -> list[str]:
        """Systems in the gallery, in display order."""
        return list(dict.fromkeys(text.system for showcase in self.showcases for text in showcase.texts))

    def shown_left_out(self) -> dict[str, dict[str, int]]:
        """Reasons in words, without zero counts."""
        shown = {
            artifact: {reason.replace("_", " "): count for reason, count in reasons.items() if count}
            for artifact, reasons in self.left_out.items()
        }
        return {artifact: reasons for artifact, reasons in shown.items() if reasons}

    def to_html(self) -> str:
        """One self-contained page; every text is escaped."""
        return page("report", report=self)

    def files(self) -> dict[str, bytes]:
        """All files of the artifact by path."""
        gallery: list[dict[str, Any]] = [showcase.to_json() for showcase in self.showcases]
        named = {
            "report.md": self.to_markdown(),
            "report.html": self.to_html(),
            "gallery.json": json.dumps(gallery, ensure_ascii=False, indent=1),
            **{f"tables/{table.name}.csv": table.to_csv() for table in self.tables},
        }
        pictures = {f"{picture.name}.png": picture.png for picture in self.pictures}
        return {path: text.encode() for path, text in named.items()} | pictures
