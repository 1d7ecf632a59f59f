"""What a sweep hands on when it is continued."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.runner.config import PipelineConfig
from showcases.storage.artifacts import ARTIFACTS, Manifest, Workspace
from tuning import sweep as sweeps
from tuning.kinds import GENERATOR_KIND
from tuning.options import SweepConfig


def test_trials_are_named_by_the_run_that_the_sweep_was_begun_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow was away at first: its own id of the run, known later, would name the trials' runs anew."""
    workspace = Workspace(str(tmp_path))
    for name in GENERATOR_KIND.family.step.reads:
        workspace.finish(Manifest(name, ARTIFACTS[name].step, {}, {}, "0", "2026-01-01T00:00:00+00:00", 0.0))
    given: list[tuple[str | None, str]] = []

    @contextlib.contextmanager
    def sweep_run(_config: Any, _name: str, _params: Any, before: str | None) -> Iterator[Any]:
        given.append((before, "pending-1" if before is None else "of-mlflow"))
        yield SimpleNamespace(run_id=given[-1][1])

    def trials(_plan: Any, _workspace: Any, _inputs: Any, _tracker: Any, run: str, _concurrent: int) -> None:
        raise KeyboardInterrupt(run)

    monkeypatch.setattr(sweeps, "sweep_run", sweep_run)
    monkeypatch.setattr(sweeps, "_trials", trials)
    monkeypatch.setattr(sweeps.cluster, "connected", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(sweeps.preflight, "check", lambda *_: None)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt, match=r"^pending-1$"):
            sweeps.sweep(GENERATOR_KIND, PipelineConfig(root=str(tmp_path)), SweepConfig(resume=True, max_concurrent=1))
    assert given == [(None, "pending-1"), ("pending-1", "of-mlflow"), ("pending-1", "of-mlflow")]
