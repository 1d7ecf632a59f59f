"""A pipeline step: inputs, outputs, the options it depends on, and when its artifacts are current."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.runner.config import PipelineConfig
from jobs.runner.requirements import Requirement
from jobs.tracking import tracker as tracking
from showcases.errors import ArtifactError, CorpusError, ObjectStoreError
from showcases.storage.artifacts import Workspace
from showcases.storage.claims import Claim
from showcases.training import chance_warning


@dataclass
class StepContext:
    """The context of a running step: workspace, options, tracker, and records for the manifests."""

    workspace: Workspace
    config: PipelineConfig
    tracker: tracking.Tracker
    used: dict[str, Any]  # config sections that the result depends on, as plain dicts
    inputs: dict[str, str]  # digest of each input by name
    claim: Claim | None = None  # on its outputs
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Hash of config and inputs; names unfinished work, so that only identical work is resumed."""
        return fingerprint_of(self.used, self.inputs)

    def say(self, message: str) -> None:
        """Print progress.

        Raises:
            ClaimError: another run took over, so stop early.
        """
        print(f"  {message}", flush=True)
        if self.claim is not None:
            with contextlib.suppress(ObjectStoreError):  # checked again before outputs are swapped in
                self.claim.check(tuple(self.claim.epochs)[:1])

    def warn_of_chance(self, name: str, metrics: dict[str, float], causes: str) -> None:
        """Warn if a model is no better than chance: printed, and as a tag of the MLflow run."""
        warning = chance_warning(name, metrics, causes)
        if warning is not None:
            self.say(warning)
            self.tracker.set_tags({f"warning.{name}": warning})

    def place_of(self, artifact: str, *parts: str) -> str:
        """Final path of an output, for messages."""
        workspace = self.workspace
        return workspace.path_under_root(artifact, *parts) if workspace.is_local else workspace.path(artifact, *parts)

    def record(
        self,
        artifact: str,
        rows: dict[str, int] | None = None,
        failures: dict[str, int] | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """Record counts and figures for the artifact's manifest."""
        self.records[artifact] = {"rows": rows or {}, "failures": failures or {}, "metrics": metrics or {}}


@dataclass(frozen=True)
class Step:
    """A step of the pipeline.

    Args:
        name: as in `python -m jobs.NAME`.
        reads: input artifacts.
        writes: output artifacts.
        sections: config sections that its result depends on; a change in one triggers a rerun.
        run: the implementation.
        corpus: whether it reads corpus files.
        inputs: digests of inputs other than artifacts.
        resumes: whether it continues an unfinished build of the same config and inputs.
        replaces: whether it replaces its artifacts itself, atomically, as they are in use; no staging folder.
        execution_options: options (SECTION.OPTION) that affect only how it runs, not its results; changing one doesn't
            trigger a rerun.
        needs: requirements on the driver and nodes, checked before any step runs.
        is_forced: whether the options force a run although its artifacts are current; it edits a copy of them.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    sections: tuple[str, ...]
    run: Callable[[StepContext], None]
    corpus: bool = False
    inputs: Callable[[PipelineConfig], dict[str, str]] = lambda _: {}
    resumes: bool = False
    replaces: bool = False
    execution_options: tuple[str, ...] = ()
    is_forced: Callable[[PipelineConfig], bool] = lambda _: False
    needs: Callable[[PipelineConfig], Sequence[Requirement]] = lambda _: ()

    def used(self, config: PipelineConfig) -> dict[str, Any]:
        """Config sections that the result depends on, as plain dicts, without execution options."""
        sections = {name: _plain(getattr(config, name)) for name in self.sections}
        for name in self.execution_options:
            section, _, option = name.partition(".")
            sections[section].pop(option)
        return sections


def made_from(step: Step, workspace: Workspace, used: dict[str, Any], inputs: dict[str, str]) -> list[str]:
    """The step's artifacts that are finished and were built from this config and these inputs."""
    manifests = [workspace.manifest(name) for name in step.writes]
    return [manifest.artifact for manifest in manifests if manifest is not None and manifest.made_from(used, inputs)]


def is_current(step: Step, workspace: Workspace, config: PipelineConfig) -> bool:
    """Whether the step's artifacts were built from this config and the present inputs."""
    try:
        inputs = {name: workspace.require(name).digest for name in step.reads} | step.inputs(config)
        return set(made_from(step, workspace, step.used(config), inputs)) == set(step.writes)
    except (ArtifactError, CorpusError):
        return False


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def fingerprint_of(used: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits: hash of options and inputs."""
    return hashlib.sha256(json.dumps([used, inputs], sort_keys=True).encode()).hexdigest()[:12]
