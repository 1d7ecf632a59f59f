"""How much each option matters: the share of the figures' variance that it explains (functional ANOVA)."""

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from tuning.search import distribution
from tuning.spaces import Option, Point, Range, Value

FEWEST = 4  # trials; of fewer, a forest tells nothing


def importances(
    options: Mapping[str, Option], points: Sequence[Point], figures: Sequence[float]
) -> dict[str, float] | None:
    """The share of each option, the largest first; they sum to 1. None where there are too few different figures.

    Source: Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance"; by Optuna.
    """
    if len(points) < FEWEST or max(figures) - min(figures) < 1e-12:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    known = {name: distribution(_around(option, [point[name] for point in points])) for name, option in options.items()}
    for point, figure in zip(points, figures, strict=True):
        study.add_trial(optuna.trial.create_trial(params=dict(point), distributions=known, value=figure))
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    shares = {name: float(found.get(name, 0.0)) for name in options}
    return dict(sorted(shares.items(), key=lambda item: -item[1])) if math.isfinite(sum(shares.values())) else None


def _around(option: Option, values: Sequence[Value]) -> object:
    """The option's domain, widened to what was tried: the paper's point may lie outside."""
    domain = option.domain
    if not isinstance(domain, Range):
        return domain
    numbers = [float(value) for value in values]
    return Range(min(domain.low, *numbers), max(domain.high, *numbers), domain.log, domain.whole)
