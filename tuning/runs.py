"""The sweep's run in MLflow and a run a trial below it; a trial that is continued goes on with its own run."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import tracking
from jobs.config import PipelineConfig
from jobs.replay import PARENT_TAG
from jobs.tracking import Tracker

TRIAL_TAG = "showcases.trial"  # Ray Tune's id of the trial
STOPPED_TAG = "showcases.stopped_early"


@contextlib.contextmanager
def sweep_run(config: PipelineConfig, name: str, params: Mapping[str, Any], before: str | None) -> Iterator[Tracker]:
    """The sweep's run; `before` is the id of the run that it goes on with."""
    if before is None:
        with tracking.step_run(name, config, dict(params), None) as tracker:
            yield tracker
        return
    tracker = Tracker(tracking.tracking_uri(config), before)
    tracker.client.update_run(before, status="RUNNING")
    try:
        yield tracker
    except BaseException:
        tracker.client.set_terminated(before, "FAILED")
        raise
    tracker.client.set_terminated(before, "FINISHED")


@dataclass(frozen=True)
class TrialRuns:
    """The runs of a sweep's trials, found by tag from any process.

    Args:
        uri: of the tracking server.
        parent: id of the sweep's run.
        name: of the sweep's run; a trial is called <name>/trial-07, the paper's point <name>/paper.
    """

    uri: str
    parent: str
    name: str

    def of(self, trial_id: str, number: int, point: Mapping[str, Any]) -> Tracker:
        """The trial's run; it is made when the trial first starts.

        A point that changes while a model trains is logged as figures over time, since parameters may not change.
        """
        standing = self.find(trial_id)
        if standing is not None:
            standing.client.update_run(standing.run_id, status="RUNNING")
            return standing
        client = Tracker(self.uri, self.parent).client
        experiment = client.get_run(self.parent).info.experiment_id
        tags = {PARENT_TAG: self.parent, TRIAL_TAG: trial_id}
        run = client.create_run(experiment, run_name=f"{self.name}/{trial_name(number)}", tags=tags)
        tracker = Tracker(self.uri, run.info.run_id)
        tracker.log_params(dict(point))
        return tracker

    def find(self, trial_id: str) -> Tracker | None:
        """The trial's run, if it has one."""
        client = Tracker(self.uri, self.parent).client
        experiment = client.get_run(self.parent).info.experiment_id
        wanted = f"tags.`{PARENT_TAG}` = '{self.parent}' and tags.`{TRIAL_TAG}` = '{trial_id}'"
        found = client.search_runs([experiment], wanted, max_results=1)
        return Tracker(self.uri, found[0].info.run_id) if found else None

    def end(self, trial_id: str, status: str, stopped_early: bool = False) -> None:
        """Close the trial's run."""
        tracker = self.find(trial_id)
        if tracker is not None:
            if stopped_early:
                tracker.client.set_tag(tracker.run_id, STOPPED_TAG, "true")
            tracker.client.set_terminated(tracker.run_id, status)


def trial_name(number: int) -> str:
    """What a trial is called: the first is at the paper's point."""
    return f"trial-{number:02d}" if number else "paper"
