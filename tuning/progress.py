"""Told by Ray Tune how trials fare: prints it, keeps reports for a sweep that is continued, has runs of MLflow's."""

from typing import Any

from ray import tune

from jobs.tracking import run_ends
from jobs.tracking import tracker as tracking
from jobs.tracking.tracker import Tracker
from showcases.storage.artifacts import Workspace
from tuning.kinds import Plan
from tuning.runs import STOPPED_TAG, TrialRuns, trial_name
from tuning.search import HISTORY, TIME, read_history
from tuning.trial import POINT, number_of

MADE_SECONDS = 5.0  # that a trial waits for its run to be made, unless MLflow is away


class Progress(tune.Callback):
    """Runs in the driver: the process of a trial that is stopped early ends without a word."""

    def __init__(self, plan: Plan, runs: TrialRuns) -> None:
        self.plan, self.runs = plan, runs
        self.trackers: dict[str, Tracker] = {}  # by trial

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if trial.trial_id in self.trackers:  # it was paused
            return
        tracker = self.trackers[trial.trial_id] = self.runs.begin(
            trial.trial_id, number_of(trial.trial_id, trial.config)
        )
        if self.plan.sweep.scheduler != "pbt":  # where a point changes, and parameters may not
            tracker.log_params(trial.config[POINT])
        tracker.spool.drain(MADE_SECONDS)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        figure = result.get(self.plan.goal.score)
        if figure is not None:
            history = read_history(self.plan)
            before = [each for each in history.get(trial.trial_id, []) if each[0] < result[TIME]]
            history[trial.trial_id] = [*before, [result[TIME], figure]]
            Workspace(self.plan.config.root).write_json(history, *self.plan.place, HISTORY)
        if self.plan.sweep.scheduler == "pbt":
            self._log_point(trial, int(result[TIME]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result
        stopped = round(last.get(TIME, 0)) < self.plan.sweep.epochs
        self._end(trial, {STOPPED_TAG: "true"} if stopped else {}, "FINISHED")
        figure = last.get(self.plan.goal.score, float("nan"))
        point = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.config[POINT].items()
        )
        early = f" (stopped after epoch {last.get(TIME, 0):.0f})" if stopped else ""
        print(f"  {self._name(trial)}: {self.plan.goal.score} {figure:.4f} at {point}{early}", flush=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._end(trial, {}, "FAILED")
        print(f"  {self._name(trial)} failed", flush=True)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Of an interrupted sweep some trials have not ended; their runs go on with --resume."""
        for tracker in self.trackers.values():
            run_ends.end(tracker.spool, "KILLED", tracking.END_SECONDS)
        self.trackers.clear()

    def _log_point(self, trial: Any, epoch: int) -> None:
        point = {f"option.{name}": value for name, value in trial.config[POINT].items()}
        self.trackers[trial.trial_id].log_metrics(point, step=epoch)

    def _end(self, trial: Any, tags: dict[str, str], status: str) -> None:
        tracker = self.trackers.pop(trial.trial_id, None)
        if tracker is not None:  # else it never started
            tracker.set_tags(tags)
            run_ends.end(tracker.spool, status, tracking.END_SECONDS)

    def _name(self, trial: Any) -> str:
        return trial_name(number_of(trial.trial_id, trial.config))
