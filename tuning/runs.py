"""The sweep's run in MLflow and a run a trial below it; a trial that is continued goes on with its own run."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.runner.config import PipelineConfig
from jobs.tracking import tracker as tracking
from jobs.tracking.pending import send_pending
from jobs.tracking.replay import PENDING
from jobs.tracking.tracker import Tracker
from showcases.storage.artifacts import Workspace

TRIAL_TAG = "showcases.trial"  # Ray Tune's id of the trial
STOPPED_TAG = "showcases.stopped_early"


@contextlib.contextmanager
def sweep_run(config: PipelineConfig, name: str, params: Mapping[str, Any], before: str | None) -> Iterator[Tracker]:
    """The sweep's run; `before` is the id of the run that it goes on with. In the end its trials' runs are sent too."""
    run = tracking.step_run(name, config, dict(params), None) if before is None else None
    with run or tracking.continued_run(name, config, str(before)) as tracker:
        yield tracker
    send_pending(Workspace(config.root))


@dataclass(frozen=True)
class TrialRuns:
    """The runs of a sweep's trials. Their ids are known before MLflow has made them, in any process.

    Args:
        config: of the sweep, with an absolute root and a tracking URI.
        parent: id of the sweep's run.
        name: of the sweep's run; a trial is called <name>/trial-07, the paper's point <name>/paper.
    """

    config: PipelineConfig
    parent: str
    name: str

    def id_of(self, trial_id: str) -> str:
        return f"{PENDING}{self.parent.removeprefix(PENDING)}-{trial_id}"

    def begin(self, trial_id: str, number: int) -> Tracker:
        """The trial's run; it is made when the trial first starts, or as soon as MLflow is there."""
        name, tags = f"{self.name}/{trial_name(number)}", {TRIAL_TAG: trial_id}
        tracker = tracking.begin(self.config, name, self.parent, self.id_of(trial_id), tags)
        tracking.resume(tracker)  # where the trial was interrupted, its run says so
        return tracker


def trial_name(number: int) -> str:
    """What a trial is called: the first is at the paper's point."""
    return f"trial-{number:02d}" if number else "paper"
