"""The quality/diversity dial: effect of relevance ** theta, as a table and as a curve.

The paper's selector is less diverse than random (Table 3): it trades diversity for relevance, controlled by theta.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from showcases.evaluation.report.drawing import COLOURS, GREY, Picture, blank, png_of
from showcases.evaluation.report.results import OTHER_DATA, ranking_cells, ranking_columns
from showcases.evaluation.report.tables import Row, Table
from showcases.evaluation.selection import Ranked
from showcases.metrics.ranking import RankingFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "theta_curve"


def theta_table(ranked: Sequence[Ranked], k: int, protocol: str) -> Table:
    """Table 3's columns for every theta of each selector, below random and most-popular.

    Args:
        ranked: of `rank_test_users`.
        k: photos chosen.
        protocol: `deployment` has only the diversity.
    """
    rows = [Row(name, ranking_cells(figures, k)) for name, figures in _without_user(ranked).items()]
    for entry in ranked:
        for theta, figures in sorted(entry.by_theta.items()):
            own = " (the model's)" if theta == entry.theta else ""
            rows.append(Row(f"{entry.name}, θ = {theta:g}{own}", ranking_cells([figures], k)))
    notes = [
        f"{ranked[0].figures.examples} test examples, the first seed of each variant. Relevance counts as q ** θ: at 0 "
        "photos are chosen for diversity alone, at 1 by the DPP as trained. In percent."
    ]
    if protocol == "deployment":
        notes.append(
            "Protocol `deployment`: the user's own photos are not among the candidates, so nothing can be hit; there "
            f"is no F1@{k} and so no curve."
        )
    notes.append(OTHER_DATA)
    return Table(NAME, "The quality/diversity dial θ", ranking_columns(k), tuple(rows), tuple(notes))


def theta_picture(ranked: Sequence[Ranked], k: int) -> Picture | None:
    """F1@k over Div@k, one line per variant and one point per theta; None without possible hits or without thetas."""
    turned = [entry for entry in ranked if entry.by_theta]
    if not turned or any(figures.f1 is None for entry in turned for figures in entry.by_theta.values()):
        return None
    served = turned[0]
    caption = (
        f"F1@{k} against Div@{k} on the test split as θ turns; random and most-popular know no user. A ring is the "
        f"model's own θ, {served.theta:g} for {served.name}, which is served. The paper has one point only, and for "
        "other data."
    )
    said = ", ".join(
        "θ {:g}: {:.1f} and {:.1f}".format(theta, *_point(figures))
        for theta, figures in sorted(served.by_theta.items())
    )
    alt = f"Div@{k} and F1@{k} in percent of {served.name} by θ. {said}."
    return Picture(NAME, alt, caption, _draw(turned, _without_user(ranked), k))


def _without_user(ranked: Sequence[Ranked]) -> dict[str, list[RankingFigures]]:
    """Figures over seeds of the rankers without a theta, by name."""
    found: dict[str, list[RankingFigures]] = {}
    for entry in ranked:
        if entry.theta is None:
            found.setdefault(entry.name, []).append(entry.figures)
    return found


def _draw(turned: Sequence[Ranked], others: dict[str, list[RankingFigures]], k: int) -> bytes:
    figure, [axes] = blank()
    axes.grid(axis="x", alpha=0.25)
    for number, entry in enumerate(turned):
        _line(axes, entry, COLOURS[number % len(COLOURS)], (0, 7) if number % 2 else (0, -13))
    for marker, (name, several) in zip("sD^v", others.items(), strict=False):
        mean = np.mean([_point(figures) for figures in several], axis=0)
        axes.plot(*mean, marker, color=GREY, markersize=6, linestyle="none", label=name)
    axes.set(xlabel=f"Div@{k} (%)", ylabel=f"F1@{k} (%)", title="What relevance costs; points are labelled with θ")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.08)
    axes.legend(frameon=False, fontsize=9)
    return png_of(figure)


def _line(axes: "Axes", entry: Ranked, colour: str, beside: tuple[int, int]) -> None:
    """A variant's points from theta to theta, labels (x, y) beside them, a ring around the model's own theta."""
    points = {theta: _point(figures) for theta, figures in sorted(entry.by_theta.items())}
    x, y = zip(*points.values(), strict=True)
    axes.plot(x, y, "o-", color=colour, markersize=4, linewidth=1.4, label=entry.name, zorder=3)
    if entry.theta in points:
        axes.plot(*points[entry.theta], "o", color=colour, markersize=11, fillstyle="none", zorder=3)
    for theta, point in points.items():
        axes.annotate(f"{theta:g}", point, beside, textcoords="offset points", ha="center", fontsize=7.5, color=colour)


def _point(figures: RankingFigures) -> tuple[float, float]:
    """Coordinates: Div@k and F1@k in percent."""
    return 100 * figures.diversity, float("nan") if figures.f1 is None else 100 * figures.f1
