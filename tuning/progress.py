"""Told by Ray Tune how trials fare: prints it, keeps reports for a sweep that is continued, closes MLflow's runs."""

import json
from typing import Any

from ray import tune

from showcases.artifacts import Workspace
from tuning.kinds import Plan
from tuning.runs import TrialRuns, trial_name
from tuning.search import HISTORY, TIME, read_history
from tuning.trial import POINT, number_of


class Progress(tune.Callback):
    """Runs in the driver: the process of a trial that is stopped early ends without a word."""

    def __init__(self, plan: Plan, runs: TrialRuns) -> None:
        self.plan, self.runs = plan, runs

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        figure = result.get(self.plan.goal.score)
        if figure is not None:
            history = read_history(self.plan)
            before = [each for each in history.get(trial.trial_id, []) if each[0] < result[TIME]]
            history[trial.trial_id] = [*before, [result[TIME], figure]]
            workspace = Workspace(self.plan.config.root)
            workspace.write_bytes(json.dumps(history).encode(), *self.plan.place, HISTORY)
        if self.plan.sweep.scheduler == "pbt":
            self._log_point(trial, int(result[TIME]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result
        stopped = round(last.get(TIME, 0)) < self.plan.sweep.epochs
        self.runs.end(trial.trial_id, "FINISHED", stopped)
        figure = last.get(self.plan.goal.score, float("nan"))
        point = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.config[POINT].items()
        )
        early = f" (stopped after epoch {last.get(TIME, 0):.0f})" if stopped else ""
        print(f"  {self._name(trial)}: {self.plan.goal.score} {figure:.4f} at {point}{early}", flush=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.runs.end(trial.trial_id, "FAILED")
        print(f"  {self._name(trial)} failed", flush=True)

    def _log_point(self, trial: Any, epoch: int) -> None:
        tracker = self.runs.find(trial.trial_id)
        if tracker is not None:
            tracker.log_metrics({f"option.{name}": value for name, value in trial.config[POINT].items()}, step=epoch)

    def _name(self, trial: Any) -> str:
        return trial_name(number_of(trial.trial_id, trial.config))
