"""Figures 3 and 6 of the paper, each as a table and a picture.

The paper has plots without numbers, so there are no reference values.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from showcases.evaluation.report.drawing import COLOURS, GREY, Picture, blank, png_of
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.systems import GROUND_TRUTH
from showcases.metrics.coverage import Keywords, keyword_coverage
from showcases.metrics.text import Figure

DIVERSITIES = ("intra_business", "inter_user", "intra_user")
BIN, LONGEST = 10, 60  # words
BINS = (*(f"{low + 1}–{low + BIN}" for low in range(0, LONGEST, BIN)), f"over {LONGEST}")
Texts = Mapping[str, Sequence[Sequence[str]]]  # by system, the texts of each seed


def figure_3(statistics: Mapping[str, Mapping[str, float]]) -> tuple[Table, Picture]:
    """Visual diversities of the datasets.

    Args:
        statistics: build_gest's, {raw, s1, s2} -> {intra_business, inter_user, intra_user}; mean 1 - cos over pairs.

    Source: paper Figure 3, Appendix B.
    """
    rows = tuple(
        Row(name, {key: [Figure(values[key], 1, "showcases")] for key in DIVERSITIES})
        for name, values in statistics.items()
    )
    notes = (
        "Mean 1 - cos over all pairs of photos of a business, of different users in a business, of one user in a "
        "business; in percent. They depend on the encoder.",
    )
    title = "Figure 3: visual diversity of the datasets"
    table = Table("figure_3", title, tuple(Column(name) for name in DIVERSITIES), rows, notes)
    labels = [name.replace("_", "-") for name in DIVERSITIES]
    return table, _bars(table, labels, "visual diversity: mean 1 - cos (%)", notes[0])


def figure_6a(texts: Texts) -> tuple[Table, Picture]:
    """How long the texts are: share of the texts in bins of 10 words up to 60, mean over the seeds.

    Args:
        texts: of the ground truth and each system; words are split at white space, empty texts are in the first bin.

    Source: paper Figure 6 (a).
    """
    rows = tuple(Row(name, _shares(seeds)) for name, seeds in texts.items())
    notes = ("Share of the texts with so many words, in percent; an empty text counts to the first bin.",)
    title = "Figure 6 (a): lengths of the texts, in words"
    table = Table("figure_6a", title, tuple(Column(name) for name in BINS), rows, notes)
    return table, _bars(table, BINS, "share of the texts (%)", notes[0])


def figure_6b(texts: Texts, keywords: Keywords) -> tuple[Table, Picture]:
    """Share of the ground truth's nouns, adjectives and adverbs that the texts cover, by part of speech.

    Args:
        texts: of the ground truth and each system, for the same examples.
        keywords: finds the parts of speech; without a tagger there is one, the content words.

    Source: paper Figure 6 (b).
    """
    [truth] = texts[GROUND_TRUTH]
    wanted = keywords(truth)
    parts = list(wanted[0])
    rows = []
    for name, seeds in texts.items():
        covered = {
            part: [keyword_coverage(said, [words[part] for words in wanted], keywords.name) for said in seeds]
            for part in parts
        }
        rows += [Row(name, covered)] if name != GROUND_TRUTH else []
    notes = (
        f"Mean over the test examples of the share of the ground truth's words that a text has, in percent; "
        f"{keywords.name}. Nouns, adjectives and adverbs need a tagger: --evaluate.spacy_model en_core_web_sm.",
    )
    title = "Figure 6 (b): coverage of the ground truth's keywords"
    table = Table("figure_6b", title, tuple(Column(part) for part in parts), tuple(rows), notes)
    return table, _bars(table, parts, "covered (%)", notes[0])


def _shares(seeds: Sequence[Sequence[str]]) -> dict[str, list[Figure]]:
    """By bin, each seed's share of the texts."""
    found: dict[str, list[Figure]] = {name: [] for name in BINS}
    for said in seeds:
        words = np.array([len(text.split()) for text in said])
        counts = np.bincount(np.clip((words - 1) // BIN, 0, len(BINS) - 1), minlength=len(BINS))
        for name, count in zip(BINS, counts.tolist(), strict=True):
            found[name].append(Figure(count / max(1, len(said)), len(said), "showcases", "white space"))
    return found


def _bars(table: Table, labels: Sequence[str], scale: str, caption: str) -> Picture:
    """Grouped bars, one group per column and one bar per row; whiskers are the deviation over seeds."""
    figure, [axes] = blank(width=max(6.4, 1.1 * len(labels)))
    colours = iter(COLOURS * len(table.rows))
    width = 0.8 / len(table.rows)
    for number, row in enumerate(table.rows):
        values = [row.value(column.name) for column in table.columns]
        high = [100 * (mean or 0.0) for mean, _ in values]
        spread = [100 * (deviation or 0.0) for _, deviation in values] if any(d for _, d in values) else None
        place = np.arange(len(values)) + (number - (len(table.rows) - 1) / 2) * width
        colour = GREY if row.name == GROUND_TRUTH else next(colours)
        axes.bar(place, high, 0.92 * width, yerr=spread, color=colour, label=row.name, error_kw={"linewidth": 0.8})
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel(scale)
    axes.set_title(table.title)
    axes.set_xlim(-0.75, len(labels) - 0.25)
    axes.margins(y=0.18)  # room for the legend
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, ncols=2)
    said = "; ".join(
        f"{r.name}: {', '.join(f'{c.name} {table.cell(r, c)}' for c in table.columns)}" for r in table.rows
    )
    return Picture(table.name, f"{table.title}. {said}.", caption, png_of(figure))
