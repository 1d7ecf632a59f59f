"""Pictures of a sweep and the options' importance, by Optuna, from the results of the trials."""

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from tuning.kinds import Plan
from tuning.outcomes import Outcome, whole
from tuning.search import distribution
from tuning.spaces import Option, Range

Direction = Literal["minimize", "maximize"]
FEWEST = 4  # trials; fewer say nothing about importance
DPI = 130
INCHES = 3.0  # width of a picture for each option


def pictures(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, tuple[str, bytes]]:
    """Caption and PNG of each picture by name.

    Trials that were stopped early are left out of all but the Pareto front: their score is of fewer epochs.

    Args:
        outcomes: the best first.
    """
    from optuna.visualization import matplotlib as plots

    study, wide = study_of(plan, outcomes), INCHES * (len(plan.options) + 1)
    name = plan.goal.score
    drawn = {
        "parallel": ("Each line is a trial; dark lines have the better score.",
                     _png(lambda: plots.plot_parallel_coordinate(study, target_name=name), wide)),
        "responses": ("The score over each option; each dot is a trial, later trials are darker.",
                      _png(lambda: plots.plot_slice(study, target_name=name), wide)),
    }  # fmt: skip
    if len(plan.goal.metrics) in (2, 3):
        caption = "The metrics that the sweep optimizes, one against the others; red is the Pareto front."
        drawn["front"] = (caption, _png(lambda: plots.plot_pareto_front(front_study(plan, outcomes))))
    if importances(plan, outcomes):
        caption = "Share of the score's variance that each option explains (functional ANOVA)."
        evaluator = FanovaImportanceEvaluator(seed=0)
        drawn["importance"] = (caption, _png(lambda: plots.plot_param_importances(study, evaluator, target_name=name)))
    return drawn


def importances(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, float] | None:
    """The share of the score's variance that each option explains, the largest first; the shares sum to 1.

    Returns:
        None if fewer than `FEWEST` trials ran to the end, or their scores don't differ.

    Source: Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance"; by Optuna.
    """
    scores = [outcome.figures[plan.goal.score] for outcome in whole(outcomes)]
    if len(scores) < FEWEST or max(scores) - min(scores) < 1e-12:
        return None
    with _quiet():
        found = get_param_importances(study_of(plan, outcomes), evaluator=FanovaImportanceEvaluator(seed=0))
    shares = {name: float(found.get(name, 0.0)) for name in plan.options}
    return dict(sorted(shares.items(), key=lambda item: -item[1])) if math.isfinite(sum(shares.values())) else None


def study_of(plan: Plan, outcomes: Sequence[Outcome]) -> optuna.Study:
    """The trials that ran to the end as a study on the score."""
    return _study(plan, whole(outcomes), [_direction(plan)], lambda outcome: [outcome.figures[plan.goal.score]])


def front_study(plan: Plan, outcomes: Sequence[Outcome]) -> optuna.Study:
    """All trials as a study on several metrics."""
    names = plan.goal.metrics
    study = _study(
        plan, outcomes, [_direction(plan)] * len(names), lambda outcome: [outcome.figures[name] for name in names]
    )
    study.set_metric_names(list(names))
    return study


def _direction(plan: Plan) -> Direction:
    return "maximize" if plan.goal.larger_is_better else "minimize"


def _study(
    plan: Plan, outcomes: Sequence[Outcome], directions: list[Direction], values: Callable[[Outcome], list[float]]
) -> optuna.Study:
    known = _distributions(plan.options, outcomes)
    with _quiet():
        study = optuna.create_study(directions=directions)
        for outcome in sorted(outcomes, key=lambda outcome: outcome.number):
            study.add_trial(
                optuna.trial.create_trial(params=dict(outcome.point), distributions=known, values=values(outcome))
            )
    return study


def _distributions(options: Mapping[str, Option], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The options' domains, widened to what was tried: the paper's point may lie outside."""
    domains = {}
    for name, option in options.items():
        domain = option.domain
        if isinstance(domain, Range):
            tried = [float(outcome.point[name]) for outcome in outcomes]
            domain = Range(min(domain.low, *tried), max(domain.high, *tried), domain.log, domain.whole)
        domains[name] = distribution(domain)
    return domains


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a line for every study and a warning for every plot."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _png(draw: Callable[[], Any], width: float = 7.0) -> bytes:
    """What `draw` draws as a PNG file; width in inches."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    plt.switch_backend("agg")  # needs no display
    with _quiet():
        figure = np.ravel(draw())[0].get_figure()
    for axes in figure.axes:
        if axes.get_xscale() == "log":  # by default labels of minor ticks overlap
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
    figure.set_size_inches(width, 4.6)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, bbox_inches="tight")
    plt.close(figure)
    return png.getvalue()
