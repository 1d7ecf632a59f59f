"""Runs a step: skipped if its artifacts are current, else built in a staging folder and swapped in at the end."""

import datetime
import itertools
import time
from collections.abc import Sequence
from typing import Any

import showcases
from jobs.runner import cluster, preflight
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.exits import exit_on_error
from jobs.runner.input_files import check_corpus, with_corpus
from jobs.runner.step import Step, StepContext, fingerprint_of, made_from
from jobs.tracking import run_facts
from jobs.tracking import tracker as tracking
from showcases.errors import ArtifactError
from showcases.storage import builds, claims
from showcases.storage.artifacts import Manifest, Workspace
from showcases.storage.claims import Claim


def execute(
    step: Step, workspace: Workspace, config: PipelineConfig, parent_run: str | None = None, claim: Claim | None = None
) -> bool:
    """Run the step unless its artifacts are current: complete, and built from the same inputs and config.

    They are built in a staging folder and replace the old ones together at the end.

    Args:
        claim: existing claim on the artifacts; by default this step claims them.

    Returns:
        Whether it ran.

    Raises:
        ArtifactError: an input is unfinished, or was replaced during the run.
        ClaimError: another run writes the same artifacts, or took over the claim.
    """
    for name in (*step.reads, *step.writes):
        builds.restore(workspace, name)
    inputs = input_digests(step, workspace, config)
    used = step.used(config)
    same = made_from(step, workspace, used, inputs)
    is_current = is_one_run(step, workspace) and set(same) == set(step.writes) and is_whole(step, workspace)
    if is_current and not config.force and not step.is_forced(config):
        print(f"[{step.name}] skipped: {', '.join(step.writes)} are current (same inputs and config)", flush=True)
        return False
    print(f"[{step.name}] {', '.join(step.reads) or 'corpus'} -> {', '.join(step.writes)}", flush=True)
    if claim is not None:
        _run(step, workspace, config, parent_run, claim, same, used, inputs)
    else:
        with claims.hold(
            workspace, step.writes, f"jobs.{step.name}", lambda message: print(f"  {message}", flush=True)
        ) as own:
            _run(step, workspace, config, parent_run, own, same, used, inputs)
    return True


def input_digests(step: Step, workspace: Workspace, config: PipelineConfig) -> dict[str, str]:
    """Digest of each input of the step.

    Raises:
        ArtifactError: an artifact is unfinished, incomplete, or from another run than one written with it.
    """
    manifests = [workspace.require(name) for name in step.reads]
    for manifest in manifests:
        if wrong := builds.damage(workspace, manifest):
            raise ArtifactError(f"{wrong}; run jobs.{manifest.step} again")
    for one, other in itertools.combinations(manifests, 2):
        if one.step == other.step and one.claim != other.claim:
            raise ArtifactError(
                f"{workspace.root}: {one.artifact} and {other.artifact} come from different runs of jobs.{one.step}: "
                f"one was interrupted while it was finishing. Run jobs.{one.step} again"
            )
    return {manifest.artifact: manifest.digest for manifest in manifests} | step.inputs(config)


def is_one_run(step: Step, workspace: Workspace) -> bool:
    """Whether all artifacts are from the same run; a kill during the final swap can mix two runs."""
    manifests = [workspace.manifest(name) for name in step.writes]
    return len({manifest.claim for manifest in manifests if manifest is not None}) <= 1


def is_whole(step: Step, workspace: Workspace) -> bool:
    """Whether the step's artifacts have all their files; prints missing ones."""
    if step.replaces:
        return True
    wrong = [found for name in step.writes if (found := builds.damage(workspace, workspace.require(name)))]
    for found in wrong:
        print(f"[{step.name}] {found}: rebuilding", flush=True)
    return not wrong


def _run(
    step: Step,
    workspace: Workspace,
    config: PipelineConfig,
    parent_run: str | None,
    claim: Claim,
    same: Sequence[str],
    used: dict[str, Any],
    inputs: dict[str, str],
) -> None:
    started = time.perf_counter()
    place = workspace.placed({name: workspace.folder(name) for name in step.reads})
    if not step.replaces:
        resumes = step.resumes and not config.force
        place = builds.begin(place, step.writes, fingerprint_of(used, inputs), claim, resumes, same if resumes else ())
    with tracking.step_run(step.name, config, used, parent_run, is_claimed=True) as tracker:
        tracker.log_inputs(run_facts.datasets(workspace, inputs))
        context = StepContext(place, config, tracker, used, inputs, claim)
        step.run(context)
        seconds = time.perf_counter() - started
        for name in step.reads:
            if workspace.require(name).digest != inputs[name]:
                raise ArtifactError(
                    f"{workspace.root}: {name} was replaced while jobs.{step.name} was reading it; run the step again"
                )
        manifests = [
            _manifest(name, step, used, inputs, seconds, context.records.get(name, {})) for name in step.writes
        ]
        for manifest in builds.finish(place, manifests, claim):
            tracker.log_manifest(manifest)
    print(f"[{step.name}] done in {seconds:.1f} s", flush=True)


def main(step: Step, argv: Sequence[str] | None = None) -> None:
    """Command line of one step: `python -m jobs.NAME --config FILE [--root URI] [--SECTION.OPTION VALUE]`."""
    with exit_on_error():
        config = parse(argv, prog=f"python -m jobs.{step.name}")
        check_corpus(config, (step.name,))
        preflight.check_before_ray(config, [step])
        if step.corpus:
            config = with_corpus(config)
        with cluster.connected(config.cluster):
            preflight.check(config, [step])
            execute(step, Workspace(config.root), config)


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
