"""Pictures of a sweep: parallel coordinates, a response curve for each option, the options' importance."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from showcases.evaluation.pictures import COLOURS, GREY, blank, png_of
from tuning.kinds import Plan
from tuning.outcomes import Outcome, whole
from tuning.spaces import Choice, Option, Range, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST, PAPER = COLOURS[0], COLOURS[1]
MARGIN = 0.04  # beside an axis' ends, in shares of it
STOPPED = "#cfc9c0"  # before it had trained as long as others
COLOUR_MAP = "viridis_r"  # dark is good
SMOOTHING = 0.12  # of a response curve, in shares of the option's range


def pictures(
    plan: Plan, outcomes: Sequence[Outcome], shares: Mapping[str, float] | None
) -> "dict[str, tuple[str, Figure]]":
    """By name what each picture shows, and the picture.

    Args:
        outcomes: the best first.
        shares: importance of the options, if it is known.
    """
    drawn = {
        "parallel": ("All trials: each line is one, dark lines are good; grey ones were stopped early.",
                     parallel(plan, outcomes)),
        "responses": ("The figure over each option: dots are trials, the line is their local mean; crosses at the edge "
                      "are trials stopped early, whose figures are of fewer epochs.", responses(plan, outcomes)),
    }  # fmt: skip
    if len(plan.goal.metrics) > 1:
        drawn["front"] = ("The figures that are searched on, one against another.", trade_offs(plan, outcomes))
    if shares:
        told = "Share of the figure's variance that each option explains (functional ANOVA), of trials of equal length."
        drawn["importance"] = (told, importance(shares))
    return drawn


def svg_of(figure: "Figure") -> str:
    """The picture as an <svg> element, to stand within a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def png(figure: "Figure") -> bytes:
    """The picture as a PNG file."""
    return png_of(figure)


def parallel(plan: Plan, outcomes: Sequence[Outcome]) -> "Figure":
    """An axis an option and one for the score; a line a trial."""
    figure, [axes] = blank(width=1.6 * (len(plan.options) + 2), height=4.6)
    shade = _shade(plan, outcomes)
    names = [*plan.options, plan.goal.score]
    shown = _comparable(outcomes)
    score = _score_axis(plan, shown)
    options = {name: _holding_all(option, name, outcomes) for name, option in plan.options.items()}
    for outcome in reversed(outcomes):  # the best on top
        heights = [option.domain.position(outcome.point[name]) for name, option in options.items()]
        if outcome in shown:
            heights.append(score(outcome.figures[plan.goal.score]))
        axes.plot(range(len(heights)), heights, **_line(outcome, outcomes[0], shade(outcome)))
    axes.set_xticks(range(len(names)), [_label(name) for name in names])
    axes.set_yticks([])
    axes.set_xlim(-0.3, len(names) - 0.7)
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    for place, option in enumerate(options.values()):
        _scale(axes, place, _ticks(option))
    low, high = _ends(plan, shown)
    _scale(axes, len(names) - 1, [(score(value), f"{value:.4g}") for value in np.linspace(low, high, 4)])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2, frameon=False)
    return figure


def responses(plan: Plan, outcomes: Sequence[Outcome]) -> "Figure":
    """The score over each option: a dot a trial, and for a range the mean of the trials near by."""
    figure, found = blank(len(plan.options), width=3.2 * len(plan.options), height=3.4)
    shade, shown = _shade(plan, outcomes), _comparable(outcomes)
    edge = 0.02 if plan.goal.larger_is_better else 0.98  # the worse one
    for axes, (name, option) in zip(found, plan.options.items(), strict=True):
        for outcome in reversed(outcomes):
            x, y = _place(option, outcome.point[name]), outcome.figures[plan.goal.score]
            if outcome in shown:
                axes.scatter(x, y, **_dot(outcome, outcomes[0], shade(outcome)))
            else:
                axes.scatter(x, edge, transform=axes.get_xaxis_transform(), **_cross(outcome))
        _fit_axis(axes, _holding_all(option, name, outcomes))
        if isinstance(option.domain, Range):
            _curve(axes, plan, name, option, whole(outcomes))
        axes.set_xlabel(_label(name))
    found[0].set_ylabel(plan.goal.score)
    found[0].legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3, frameon=False, fontsize=8)
    return figure


def trade_offs(plan: Plan, outcomes: Sequence[Outcome]) -> "Figure":
    """Each pair of figures: a dot a trial."""
    names = plan.goal.metrics
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    figure, found = blank(len(pairs), width=3.6 * len(pairs), height=3.6)
    shade = _shade(plan, outcomes)
    for axes, (x, y) in zip(found, pairs, strict=True):
        for outcome in reversed(outcomes):
            look = _dot(outcome, outcomes[0], shade(outcome))
            axes.scatter(outcome.figures[x], outcome.figures[y], **look)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    found[0].legend(frameon=False, fontsize=8)
    return figure


def importance(shares: Mapping[str, float]) -> "Figure":
    """A bar an option."""
    figure, [axes] = blank(width=5.6, height=0.8 + 0.42 * len(shares))
    names = list(shares)[::-1]
    bars = axes.barh([_label(name) for name in names], [shares[name] for name in names], color=PAPER)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, 1.08 * max(shares.values()))
    axes.grid(axis="y", visible=False)
    return figure


def _line(outcome: Outcome, best: Outcome, colour: Any) -> dict[str, Any]:
    if outcome is best:
        return {"color": BEST, "linewidth": 2.6, "label": f"best ({outcome.name})", "zorder": 4}
    if not outcome.number:
        return {"color": PAPER, "linewidth": 2.2, "linestyle": "--", "label": "the paper's point", "zorder": 3}
    return {"color": colour, "linewidth": 1.1, "alpha": 0.8}


def _dot(outcome: Outcome, best: Outcome, colour: Any) -> dict[str, Any]:
    if outcome is best:
        return {"color": BEST, "marker": "*", "s": 130, "label": f"best ({outcome.name})", "zorder": 4}
    if not outcome.number:
        return {"color": PAPER, "marker": "D", "s": 55, "label": "the paper's point", "zorder": 3}
    return {"color": [colour], "s": 26}


def _cross(outcome: Outcome) -> dict[str, Any]:
    """A trial that was stopped early; the paper's keeps its colour."""
    look = {"marker": "x", "s": 22, "linewidths": 1.0}
    return look | ({"color": GREY} if outcome.number else {"color": PAPER, "label": "the paper's point, stopped early"})


def _comparable(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those whose figures are shown beside each other: of as many epochs, and the best whatever its epochs are."""
    full = whole(outcomes)
    return [outcome for outcome in outcomes if outcome in full or outcome is outcomes[0]]


def _shade(plan: Plan, outcomes: Sequence[Outcome]) -> Callable[[Outcome], Any]:
    """The colour of a trial, by its rank: one far trial would leave no shades for the others. Grey: stopped early."""
    from matplotlib import colormaps

    colours, shown = colormaps[COLOUR_MAP], _comparable(outcomes)
    rank = {outcome.trial: place for place, outcome in enumerate(shown)}
    found = {trial: colours(1.0 - 0.85 * place / max(1, len(shown) - 1)) for trial, place in rank.items()}
    return lambda outcome: found.get(outcome.trial, STOPPED)


def _score_axis(plan: Plan, outcomes: Sequence[Outcome]) -> Callable[[float], float]:
    low, high = _ends(plan, outcomes)
    return lambda value: (value - low) / (high - low) if high > low else 0.5


def _ends(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[float, float]:
    scores = [outcome.figures[plan.goal.score] for outcome in outcomes]
    return min(scores), max(scores)


def _ticks(option: Option) -> list[tuple[float, str]]:
    values = option.domain.steps(4)
    return [(option.domain.position(value), f"{value:.3g}" if isinstance(value, float) else str(value))
            for value in values]  # fmt: skip


def _scale(axes: "Axes", place: int, ticks: Sequence[tuple[float, str]]) -> None:
    """An upright axis with its values."""
    axes.axvline(place, color=GREY, linewidth=0.8, zorder=0)
    for height, text in ticks:
        axes.annotate(text, (place, height), xytext=(4, 0), textcoords="offset points", fontsize=7.5, va="center",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6}, zorder=5)  # fmt: skip


def _place(option: Option, value: Value) -> float:
    domain = option.domain
    return domain.values.index(value) if isinstance(domain, Choice) else float(value)


def _holding_all(option: Option, name: str, outcomes: Sequence[Outcome]) -> Option:
    """The option with a range that holds what was tried beyond it: the paper's point may lie outside."""
    domain = option.domain
    if isinstance(domain, Choice):
        return option
    tried = [float(outcome.point[name]) for outcome in outcomes]
    return replace(option, domain=replace(domain, low=min(domain.low, *tried), high=max(domain.high, *tried)))


def _fit_axis(axes: "Axes", option: Option) -> None:
    """The option's whole range."""
    domain = option.domain
    if isinstance(domain, Choice):
        axes.set_xticks(range(len(domain.values)), [str(value) for value in domain.values], rotation=20, fontsize=8)
        axes.set_xlim(-0.5, len(domain.values) - 0.5)
        return
    low, high = domain.low, domain.high
    if domain.log:
        axes.set_xscale("log")
        values = [float(value) for value in domain.steps(4)]
        axes.minorticks_off()  # their labels would overlap
        axes.set_xticks(values, [f"{value:.2g}" for value in values])
        axes.set_xlim(low * (low / high) ** MARGIN, high * (high / low) ** MARGIN)
    else:
        if domain.whole:
            axes.set_xticks([float(value) for value in domain.steps(6)], [str(value) for value in domain.steps(6)])
        axes.set_xlim(low - MARGIN * (high - low), high + MARGIN * (high - low))


def _curve(axes: "Axes", plan: Plan, name: str, option: Option, outcomes: Sequence[Outcome]) -> None:
    """The mean of the trials' scores, each weighted by how near it is (Nadaraya-Watson)."""
    domain = option.domain
    assert isinstance(domain, Range)
    places = np.array([domain.position(outcome.point[name]) for outcome in outcomes])
    scores = np.array([outcome.figures[plan.goal.score] for outcome in outcomes])
    where = np.linspace(places.min(), places.max(), 80)
    weights = np.exp(-0.5 * ((where[:, None] - places) / SMOOTHING) ** 2)  # (80, trials)
    low, high = (np.log(x) if domain.log else x for x in (domain.low, domain.high))
    values = low + where * (high - low)
    axes.plot(np.exp(values) if domain.log else values, weights @ scores / weights.sum(1), color=GREY, zorder=1)


def _label(name: str) -> str:
    return {"lambda_image": "λ₁ (image)", "lambda_text": "λ₂ (text)", "alpha": "α", "tau": "τ",
            "delta": "δ", "sigma": "σ"}.get(name, name.replace("_", " "))  # fmt: skip
