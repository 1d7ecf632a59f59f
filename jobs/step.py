"""One step of the flow: what it reads and writes, when it may be skipped, how it is run alone."""

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import showcases
from jobs import cluster, preflight, run_facts, tracking
from jobs.config import PipelineConfig, parse
from jobs.corpus import with_corpus
from jobs.exits import exit_on_error
from jobs.requirements import Requirement
from showcases.artifacts import Manifest, Workspace


@dataclass
class StepContext:
    """What a running step gets: where, with which options, and where to write down what came of it."""

    workspace: Workspace
    config: PipelineConfig
    tracker: tracking.Tracker
    used: dict[str, Any]  # the sections of the config that the result depends on, plain
    inputs: dict[str, str]  # digest by name of what is read
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of config and inputs; names unfinished work, so that only the same work is resumed."""
        return fingerprint_of(self.used, self.inputs)

    def say(self, message: str) -> None:
        """Progress, for a person."""
        print(f"  {message}", flush=True)

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
        resumes: it tells by itself which parts of its artifacts still hold, and keeps those; for any other step they
            are cleared away when config or inputs have changed, or it was cut off.
        replaces: its artifacts are in use while it runs, and it puts new ones in their place in one go: they are never
            cleared, and their manifests stand until the new ones are written.
        manners: options (SECTION.OPTION) that change how it goes about its work and not what a row holds: another value
            of one does not make it run again.
        needs: what the config names that must be there on the driver or on the nodes, checked before any step runs.
        asked: whether the options ask for it to run though its artifacts stand; what lies in them it keeps.
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


def execute(step: Step, workspace: Workspace, config: PipelineConfig, parent_run: str | None = None) -> bool:
    """Run the step unless its artifacts stand, made from the same inputs and config.

    Returns:
        Whether it ran.

    Raises:
        ArtifactError: an input is not finished.
    """
    inputs = {name: workspace.require(name).digest for name in step.reads} | step.inputs(config)
    used = step.used(config)
    standing = [workspace.manifest(name) for name in step.writes]
    made = all(manifest and manifest.made_from(used, inputs) for manifest in standing)
    if made and not config.force and not step.asked(config):
        print(f"[{step.name}] skipped: {', '.join(step.writes)} made from the same inputs and config", flush=True)
        return False
    for name, manifest in zip(step.writes, standing, strict=True):
        if step.replaces:
            continue
        if config.force or not step.resumes:
            workspace.clear(name)
        elif manifest is not None:
            workspace.reopen(name)
    print(f"[{step.name}] {', '.join(step.reads) or 'corpus'} -> {', '.join(step.writes)}", flush=True)
    started = time.perf_counter()
    with tracking.step_run(step.name, config, used, parent_run) as tracker:
        tracker.log_inputs(run_facts.datasets(workspace, inputs))
        context = StepContext(workspace, config, tracker, used, inputs)
        step.run(context)
        seconds = time.perf_counter() - started
        for name in step.writes:
            manifest = _manifest(name, step, used, inputs, seconds, context.records.get(name, {}))
            workspace.finish(manifest)
            tracker.log_manifest(manifest)
    print(f"[{step.name}] done in {seconds:.1f} s", flush=True)
    return True


def main(step: Step, argv: Sequence[str] | None = None) -> None:
    """Command line of one step: `python -m jobs.NAME --config FILE [--root URI] [--SECTION.OPTION VALUE]`."""
    with exit_on_error():
        config = parse(argv, prog=f"python -m jobs.{step.name}")
        preflight.check_before_ray(config, [step])
        if step.corpus:
            config = with_corpus(config)
        with cluster.connected(config.cluster):
            preflight.check(config, [step])
            execute(step, Workspace(config.root), config)


def _plain(value: Any) -> Any:
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def fingerprint_of(used: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits that change with any option or input."""
    return hashlib.sha256(json.dumps([used, inputs], sort_keys=True).encode()).hexdigest()[:12]


def _manifest(
    name: str, step: Step, used: dict[str, Any], inputs: dict[str, str], seconds: float, record: dict[str, Any]
) -> Manifest:
    return Manifest(
        artifact=name,
        step=step.name,
        config=used,
        inputs=inputs,
        code_version=showcases.__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        **record,
    )
