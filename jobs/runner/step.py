"""One step of the flow: what it reads and writes, which options it depends on, and when its artifacts are current."""

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
    """What a running step gets: where, with which options, and where to write down what came of it."""

    workspace: Workspace
    config: PipelineConfig
    tracker: tracking.Tracker
    used: dict[str, Any]  # the sections of the config that the result depends on, plain
    inputs: dict[str, str]  # digest by name of what is read
    claim: Claim | None = None  # of what it writes
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of config and inputs; names unfinished work, so that only the same work is resumed."""
        return fingerprint_of(self.used, self.inputs)

    def say(self, message: str) -> None:
        """Progress, for a person.

        Raises:
            ClaimError: another run has taken over; going on would be for nothing.
        """
        print(f"  {message}", flush=True)
        if self.claim is not None:
            with contextlib.suppress(ObjectStoreError):  # checked for good before anything is put in place
                self.claim.check(tuple(self.claim.epochs)[:1])

    def warn_of_chance(self, name: str, metrics: dict[str, float], causes: str) -> None:
        """Say so if a model has learned nothing: on the screen, and as a tag of the step's run in MLflow."""
        warning = chance_warning(name, metrics, causes)
        if warning is not None:
            self.say(warning)
            self.tracker.set_tags({f"warning.{name}": warning})

    def place_of(self, artifact: str, *parts: str) -> str:
        """Where something that this step writes will be once the step is done, for a person."""
        workspace = self.workspace
        return workspace.path_under_root(artifact, *parts) if workspace.is_local else workspace.path(artifact, *parts)

    def record(
        self,
        artifact: str,
        rows: dict[str, int] | None = None,
        failures: dict[str, int] | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """Counts and figures for the artifact's manifest."""
        self.records[artifact] = {"rows": rows or {}, "failures": failures or {}, "metrics": metrics or {}}


@dataclass(frozen=True)
class Step:
    """A step of the pipeline.

    Args:
        name: as in `python -m jobs.NAME`.
        reads: artifacts that must be finished before.
        writes: artifacts that it makes.
        sections: the parts of PipelineConfig that its result depends on; a change in one makes it run again.
        run: does the work.
        corpus: it reads files of the corpus.
        inputs: digests of what it reads besides artifacts.
        resumes: it finds out what an unfinished build of the same config and inputs holds, and does the rest.
        replaces: its artifacts are in use while it runs, and it replaces their content itself in one go: they are not
            built aside.
        manners: options (SECTION.OPTION) that change how it goes about its work and not what a row holds: another value
            of one does not make it run again.
        needs: what the config names that must be there on the driver or on the nodes, checked before any step runs.
        asked: whether the options ask for it to run though its artifacts are current; it edits a copy of them.
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
    manners: tuple[str, ...] = ()
    asked: Callable[[PipelineConfig], bool] = lambda _: False
    needs: Callable[[PipelineConfig], Sequence[Requirement]] = lambda _: ()

    def used(self, config: PipelineConfig) -> dict[str, Any]:
        """The sections of the config that the result depends on, plain, without the manners."""
        sections = {name: _plain(getattr(config, name)) for name in self.sections}
        for name in self.manners:
            section, _, option = name.partition(".")
            sections[section].pop(option)
        return sections


def made_from(step: Step, workspace: Workspace, used: dict[str, Any], inputs: dict[str, str]) -> list[str]:
    """Which of the step's artifacts are finished, and made from this config and these inputs."""
    manifests = [workspace.manifest(name) for name in step.writes]
    return [manifest.artifact for manifest in manifests if manifest is not None and manifest.made_from(used, inputs)]


def is_current(step: Step, workspace: Workspace, config: PipelineConfig) -> bool:
    """Whether the step's artifacts were made from this config and from what it would read now."""
    try:
        inputs = {name: workspace.require(name).digest for name in step.reads} | step.inputs(config)
        return set(made_from(step, workspace, step.used(config), inputs)) == set(step.writes)
    except (ArtifactError, CorpusError):
        return False


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def fingerprint_of(used: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits that change with any option or input."""
    return hashlib.sha256(json.dumps([used, inputs], sort_keys=True).encode()).hexdigest()[:12]
