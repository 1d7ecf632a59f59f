"""The learning curve of Φ as a table and as a picture: is another round of labelling worthwhile?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from showcases.distillation.learning_curve import Curve, Point
from showcases.evaluation.report.drawing import COLOURS, GREY, blank, png_of
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.metrics.text import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "label_curve"


def curve_table(curve: Curve) -> Table:
    """One row per number of labels, then the systems without labels."""
    rows = tuple(Row(point.name, _figures(point)) for point in [*curve.points, *curve.references])
    skipped = [f"{point.name}: {point.skipped}" for point in curve.points if point.skipped]
    notes = [
        f"Φ on the same {curve.test_pairs} test pairs that people labelled, in percent; mean ± sample standard "
        "deviation over seeds. A seed draws the reviews that are trained on and the order of training; with one seed, "
        "fewer labels lie within more.",
        "The weights and the threshold behind F1 are chosen on people's val pairs in every row, also where no label "
        "was trained on.",
    ]
    if skipped:
        notes.append(f"Skipped seeds, whose pairs have only one class: {', '.join(skipped)}.")
    columns = (Column("labels", 1, 0), Column("AUC"), Column("F1"))
    return Table(NAME, "Φ by number of labels", columns, rows, tuple(notes))


def _figures(point: Point) -> dict[str, list[Figure]]:
    values = {"labels": point.labels, "AUC": point.auc, "F1": point.f1}
    return {name: [Figure(float(value), len(point.auc), "") for value in found] for name, found in values.items()}


def curve_picture(curve: Curve) -> bytes:
    """AUC and F1 over the number of labels with bars of one standard deviation, as PNG; label-free systems as lines."""
    figure, both = blank(2, width=9.6, height=4.2)
    for axes, name in zip(both, ("auc", "f1"), strict=True):
        _draw(axes, curve, name)
    figure.suptitle(f"Φ by number of labels, on {curve.test_pairs} test pairs", fontsize=11)
    return png_of(figure)


def _draw(axes: "Axes", curve: Curve, name: str) -> None:
    points = [point for point in curve.points if point.auc]
    labels = [float(np.mean(point.labels)) for point in points]
    mean, spread = zip(*(_mean(getattr(point, name)) for point in points), strict=True)
    axes.errorbar(labels, mean, spread, fmt="o-", color=COLOURS[0], markersize=4, linewidth=1.4, capsize=3, label="Φ")
    styles = ((GREY, ":"), (COLOURS[1], "--"))
    for point, (colour, style) in zip(curve.references, styles, strict=False):
        if point.auc:
            axes.axhline(_mean(getattr(point, name))[0], color=colour, linestyle=style, linewidth=1.3, label=point.name)
    axes.set(xlabel="labelled pairs in the training split", ylabel=f"{name.upper()} (%)", xscale="log")
    axes.set_xticks(labels, [f"{label:.0f}" for label in labels], minor=False)
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False, fontsize=9)


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation in percent; no deviation for one value."""
    return 100 * float(np.mean(values)), 100 * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
