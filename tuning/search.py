"""How a sweep finds its points and which trials it stops: Ray Tune's searchers and schedulers, made to be continued."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import optuna
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from showcases.storage.artifacts import Workspace
from tuning.kinds import Goal, Plan
from tuning.points import back_inside, drawn, grid, mutations
from tuning.spaces import Option, Point, Range
from tuning.trial import NUMBER, POINT

TIME = "epoch"  # trials are compared by epoch: a resumed trial restarts its report count, not its epochs
HISTORY = "history.json"  # of a sweep: trial id -> [[epoch, objective], ...]


def distribution(domain: Any) -> optuna.distributions.BaseDistribution:
    """A domain as Optuna knows it."""
    if not isinstance(domain, Range):
        return optuna.distributions.CategoricalDistribution(domain.values)
    if domain.whole:
        return optuna.distributions.IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)


class NumberedSearch(OptunaSearch):
    """Optuna's points, numbered; the first is the paper's, which Optuna learns from where it lies in the ranges."""

    def __init__(self, options: Mapping[str, Option], paper: Point, goal: Goal, seed: int) -> None:
        self.paper, self.paper_trial, self.count = paper, "", 0
        self.inside = all(paper[name] in option.domain for name, option in options.items())
        many = len(goal.metrics) > 1
        super().__init__(
            {name: distribution(option.domain) for name, option in options.items()},
            metric=list(goal.metrics) if many else goal.metrics[0],
            mode=[goal.mode] * len(goal.metrics) if many else goal.mode,  # type: ignore[arg-type]
            points_to_evaluate=[paper] if self.inside else None,
            seed=seed,
        )

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        outside = not self.count and not self.inside
        if outside:
            self.paper_trial = trial_id
        point = self.paper if outside else super().suggest(trial_id)
        self.count += 1
        return {NUMBER: self.count - 1, POINT: point}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id != self.paper_trial:
            super().on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id != self.paper_trial:
            super().on_trial_complete(trial_id, result, error)


class ContinuedHalving(ASHAScheduler):
    """Asynchronous successive halving that remembers what trials had reported before the sweep was cut off.

    Ray Tune keeps no scheduler's state: without that, a continued sweep would compare its trials with none before.

    Source: Li et al. 2020, "A system for massively parallel hyperparameter tuning".
    """

    def __init__(self, plan: Plan) -> None:
        self.plan: Plan | None = plan
        super().__init__(TIME, plan.goal.score, plan.goal.mode, plan.sweep.epochs, 1, plan.sweep.reduction)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if self.plan is not None:
            plan, self.plan = self.plan, None
            self.recall(read_history(plan))
        super().on_trial_add(tune_controller, trial)

    def recall(self, history: Mapping[str, list[list[float]]]) -> None:
        """Take in what was reported before."""
        for trial_id, reports in history.items():
            known: Any = SimpleNamespace(trial_id=trial_id)
            super().on_trial_add(None, known)  # type: ignore[arg-type]
            for epoch, figure in reports:
                super().on_trial_result(None, known, {TIME: epoch, self._metric: figure})  # type: ignore[arg-type,dict-item]


def read_history(plan: Plan) -> dict[str, list[list[float]]]:
    """What the trials of a sweep have reported so far."""
    return Workspace(plan.config.root).find_json(*plan.place, HISTORY) or {}


@dataclass(frozen=True)
class Search:
    """What Ray Tune is given.

    Args:
        space: of the trials' arguments.
        count: how often it is drawn from.
        trials: that there are in the end.
        concurrent: trials side by side; none where trials are held back by their resources.
        resources: of a trial's own process.
        keep: checkpoints a trial.
    """

    space: dict[str, Any]
    searcher: Searcher | None
    scheduler: TrialScheduler | None
    count: int
    trials: int
    concurrent: int | None
    resources: dict[str, float]
    keep: int = 1


def search(plan: Plan, concurrent: int, driver_cpu: float) -> Search:
    """The searcher and scheduler of a plan."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = plan.sweep
    if sweep.scheduler == "pbt":
        space = settled(drawn(plan.options, plan.paper, sweep.trials, sweep.search_seed))
        return Search(space, None, population(plan), 1, sweep.trials, None, one_of(concurrent), keep=4)
    scheduler = ContinuedHalving(plan) if sweep.scheduler == "asha" else None
    own = {"CPU": driver_cpu}
    if sweep.search_algorithm in ("tpe", "multi"):
        searcher = NumberedSearch(plan.options, plan.paper, plan.goal, sweep.search_seed)
        return Search({}, searcher, scheduler, sweep.trials, sweep.trials, concurrent, own)
    if sweep.search_algorithm == "grid":
        points = grid(plan.options, plan.paper, sweep.grid_steps)
    else:
        points = drawn(plan.options, plan.paper, sweep.trials, sweep.search_seed)
    return Search(settled(points), None, scheduler, 1, len(points), concurrent, own)


def settled(points: list[Point]) -> dict[str, Any]:
    """A space of just these points, each once, in order; plain values, which a continued sweep finds again."""
    return {POINT: tune.grid_search(points)}


def population(plan: Plan) -> PopulationBasedTraining:
    """All trials reach an epoch, then the worst quarter goes on from the best quarter's weights, near its options.

    Source: Jaderberg et al. 2017, "Population based training of neural networks".
    """
    options = plan.options

    def explored(trial: dict[str, Any]) -> dict[str, Any]:
        return {**trial, POINT: back_inside(options, trial[POINT])}

    return PopulationBasedTraining(
        TIME,
        plan.goal.score,
        plan.goal.mode,
        perturbation_interval=plan.sweep.interval,
        hyperparam_mutations={POINT: mutations(options, plan.sweep.search_seed)},
        custom_explore_fn=explored,
        synch=True,  # few trials fit side by side: none may be compared with one that is behind
        log_config=False,
    )


def one_of(concurrent: int) -> dict[str, float]:
    """Resources that so many trials have at once, in any cluster.

    All trials of a population are alive at once, so Ray Tune's limit of living trials can't hold them back. Each has a
    share of the one piece that every Ray cluster has of its head node, of which Ray Train needs a little itself.
    """
    return {"CPU": 0, "node:__internal_head__": int(1e4 / (concurrent + 0.5)) / 1e4}
