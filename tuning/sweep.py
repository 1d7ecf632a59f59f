"""What both sweeps share: begin or go on, run the trials, write down what came of them."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import ray
from ray import tune

from jobs.runner import cluster, preflight
from jobs.runner.config import PipelineConfig
from jobs.runner.exits import exit_on_error
from jobs.runner.step import StepContext, fingerprint_of
from jobs.tracking.tracker import Tracker
from jobs.training.ray_train import trainings_at_once
from jobs.training.variants import register
from jobs.training.worker import RUNS
from showcases.errors import ConfigError
from showcases.storage import claims
from showcases.storage.artifacts import Place, Workspace
from showcases.storage.builds import copy_files
from tuning.kinds import Kind, Plan, plan
from tuning.options import SweepConfig, parse
from tuning.outcomes import Outcome, as_text, in_order, outcome_of, rows
from tuning.progress import Progress
from tuning.results import describe, result_files
from tuning.runs import TrialRuns, sweep_run
from tuning.search import Search, search
from tuning.spaces import plain
from tuning.trial import DRIVER_CPU, Trial, TrialSettings, runs_prefix

SWEEP_FILE = "sweep.json"  # of a sweep: its run in MLflow and its settings; written first
OUTCOMES = "outcomes.json"  # of a finished sweep
TUNE = "tune"  # Ray Tune's state and the trials' checkpoints, until the sweep has finished
MODEL = "model"  # of the best trial
MANNERS = ("resume", "register", "out", "max_concurrent")  # of a sweep's options: they change no figure
INTERRUPTED = 128 + signal.SIGINT  # exit status, as a shell has it
SNAPSHOT_SECONDS = "2"  # Ray Tune's own state is written at most so often; a kill loses no more than that


def sweep(kind: Kind, config: PipelineConfig, options: SweepConfig) -> list[Outcome]:
    """Run a sweep, or go on with it.

    Returns:
        What ended well, the best first.

    Raises:
        ArtifactError: a step has to run before.
        ConfigError: the options don't fit each other, or the sweep that is gone on with.
        KeyboardInterrupt: interrupted; finished trials can be resumed with --resume.
        ShowcasesError: no trial ended well.
    """
    settled = plan(kind, config, options)
    workspace = Workspace(config.root)
    texts = ("classifier", "clip") if len(settled.goal.metrics) > 1 else ()
    inputs = {name: workspace.require(name).digest for name in (*kind.family.step.reads, *texts)}
    more = kind.family.step.needs(config)
    preflight.check_before_ray(config, (), more)
    with claims.hold(workspace, ["-".join(settled.place)], f"{settled.title} {options.name}", print):
        before = _before(settled, workspace, inputs)
        with cluster.connected(config.cluster):
            preflight.check(config, (kind.family.step,), more)
            concurrent = options.max_concurrent or _at_once(settled)
            with sweep_run(config, settled.title, asdict(options), before) as tracker:
                outcomes = _finished(settled, workspace)
                if outcomes is None:
                    run = before or tracker.run_id  # the same in all that resume it: its trials' runs are named by it
                    _begin(settled, workspace, inputs, run)
                    outcomes = _trials(settled, workspace, inputs, tracker, run, concurrent)
                _publish(settled, workspace, inputs, tracker, outcomes)
                workspace.remove(*_replaced(settled))
    return outcomes


def _at_once(settled: Plan) -> int:
    own = 0.0 if settled.sweep.scheduler == "pbt" else DRIVER_CPU
    return trainings_at_once(settled.config.cluster, ray.cluster_resources(), own)


def _plain_settings(settled: Plan, inputs: dict[str, str]) -> dict[str, Any]:
    """All that a sweep's figures depend on, plain."""
    own = {name: value for name, value in asdict(settled.sweep).items() if name not in (*MANNERS, "search")}
    ranges = {name: asdict(option) for name, option in settled.options.items()}
    config = plain(settled.own)
    settings = {"sweep": own, "options": ranges, "config": config, "seed": settled.config.seed, "inputs": inputs}
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return]


def _before(settled: Plan, workspace: Workspace, inputs: dict[str, str]) -> str | None:
    """The run in MLflow of the sweep that is gone on with; none begins one.

    Raises:
        ConfigError: a sweep of this name exists with other settings, or --resume is missing.
    """
    existing = workspace.find_json(*settled.place, SWEEP_FILE)
    if existing is None:
        return None
    where = f"{workspace.path(*settled.place)}: a sweep of this name exists"
    if settled.config.force:
        aside = "/".join(_replaced(settled))
        if _finished(settled, workspace) is not None:  # an interrupted sweep has no results
            copy_files(workspace, "/".join(settled.place), aside)
        workspace.remove(*settled.place)
        print(f"[{settled.title}] the results before are in {aside} until this sweep has its own", flush=True)
        return None
    if not settled.sweep.resume:
        raise ConfigError(f"{where}: resume it with --resume true, set another --name, or replace it with --force true")
    wanted = _plain_settings(settled, inputs)
    other = [name for name in wanted if wanted[name] != existing["asked"][name]]
    if other:
        raise ConfigError(f"{where}, from other {', '.join(other)}: use its original options, or a new --name")
    return str(existing["run"])


def _replaced(settled: Plan) -> Place:
    """Where the results lie that a sweep with --force replaces, until it has its own."""
    return (*settled.place[:-1], f"{settled.place[-1]}.replaced")


def _begin(settled: Plan, workspace: Workspace, inputs: dict[str, str], run: str) -> None:
    workspace.write_json({"run": run, "asked": _plain_settings(settled, inputs)}, *settled.place, SWEEP_FILE)


def _finished(settled: Plan, workspace: Workspace) -> list[Outcome] | None:
    """The outcomes of a sweep that was gone on with and had come to its end before."""
    found = workspace.find_json(*settled.place, OUTCOMES)
    return None if found is None else [Outcome(**values) for values in found]


def _trials(
    settled: Plan, workspace: Workspace, inputs: dict[str, str], tracker: Tracker, run: str, concurrent: int
) -> list[Outcome]:
    """Run the trials; keep their outcomes and the best one's model, remove the rest."""
    settings = _settings(settled, inputs, tracker, run)
    found = search(settings.plan, concurrent, DRIVER_CPU)
    print(f"[{settled.title}] {concurrent} trials side by side", flush=True)
    results = _tuner(settings, workspace, found).fit()
    left = found.trials - _ended(settled, workspace)
    if left:  # after a signal Ray Tune returns as from a sweep that has come to its end
        raise KeyboardInterrupt(f"{left} of {found.trials} trials were still to end")
    by_trial = _by_trial(settled, results)
    outcomes = in_order(settled, [outcome for outcome, _ in by_trial.values()])
    _keep_model(settled, workspace, by_trial[outcomes[0].trial][1])
    workspace.write_json([asdict(outcome) for outcome in outcomes], *settled.place, OUTCOMES)
    workspace.remove(*settled.place, TUNE)
    for name in workspace.folders_in(RUNS):
        if name.startswith(runs_prefix(settled)):
            workspace.remove(RUNS, name)
    return outcomes


def _settings(settled: Plan, inputs: dict[str, str], tracker: Tracker, run: str) -> TrialSettings:
    """What all trials share; absolute places, since they run in folders of their own."""
    config = replace(settled.config, tracking=replace(settled.config.tracking, uri=tracker.uri))
    config = replace(config, root=Workspace(config.root).root)
    loop = replace(settled.own.loop, epochs=settled.sweep.epochs, checkpoint_every=1, checkpoint_steps=0)
    settled = replace(settled, config=config, own=replace(settled.own, loop=loop))
    context = StepContext(Workspace(config.root), config, tracker, {}, inputs)
    family, own = settled.kind.family, settled.own
    job = family.prepare(context, family.job(context, own, own.variants[0], own.seeds[0], ()))
    return TrialSettings(settled, TrialRuns(config, run, settled.title), job)


def _tuner(settings: TrialSettings, workspace: Workspace, found: Search) -> tune.Tuner:
    """Ray Tune's, new or from its state in the workspace."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables; what the sweep prints says the same in a line
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", SNAPSHOT_SECONDS)
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # texts are judged at a trial's end alone
    settled, filesystem = settings.plan, workspace.filesystem
    trainable = tune.with_resources(tune.with_parameters(Trial, settings=settings), found.resources)
    state = workspace.path(*settled.place, TUNE)
    if tune.Tuner.can_restore(state, storage_filesystem=filesystem):
        return tune.Tuner.restore(state, trainable, resume_errored=True, storage_filesystem=filesystem)
    return tune.Tuner(
        trainable,
        param_space=found.space,
        tune_config=tune.TuneConfig(
            search_alg=found.searcher,
            scheduler=found.scheduler,
            num_samples=found.count,
            max_concurrent_trials=found.concurrent,
            trial_name_creator=lambda trial: f"trial-{trial.trial_id}",
            trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name=TUNE,
            storage_path=workspace.path(*settled.place),
            storage_filesystem=filesystem,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=found.keep, checkpoint_frequency=1),
            callbacks=[Progress(settled, settings.runs)],
            verbose=0,
        ),
    )


def _ended(settled: Plan, workspace: Workspace) -> int:
    """How many trials would not be run again, by the state that Ray Tune goes on from."""
    state = tune.ExperimentAnalysis(workspace.path(*settled.place, TUNE), storage_filesystem=workspace.filesystem)
    return sum(trial.is_finished() for trial in state.trials or [])


def _by_trial(settled: Plan, results: tune.ResultGrid) -> dict[str, tuple[Outcome, Any]]:
    """Outcome and checkpoint of each trial that ended well; failures of the others are printed."""
    found = {}
    for number in range(len(results)):
        result = results[number]
        outcome = outcome_of(settled, result.metrics or {}) if result.error is None else None
        if outcome is not None:
            found[outcome.trial] = (outcome, result.checkpoint)
        elif result.error is not None:
            print(f"  a trial failed: {str(result.error).strip().splitlines()[-1]}", file=sys.stderr, flush=True)
    return found


def _keep_model(settled: Plan, workspace: Workspace, checkpoint: Any) -> None:
    """The best trial's model folder, into the sweep's."""
    target = workspace.path(*settled.place, MODEL)
    workspace.filesystem.create_dir(target, recursive=True)
    pafs.copy_files(
        f"{checkpoint.path}/{MODEL}",
        target,
        source_filesystem=checkpoint.filesystem,
        destination_filesystem=workspace.filesystem,
    )


def _publish(
    settled: Plan, workspace: Workspace, inputs: dict[str, str], tracker: Tracker, outcomes: list[Outcome]
) -> None:
    """Write the results to the workspace, --out and MLflow, and register the model."""
    files = result_files(settled, outcomes)
    for name, content in files.items():
        workspace.write_bytes(content, *settled.place, name)
        if settled.sweep.out is not None:
            Path(settled.sweep.out).mkdir(parents=True, exist_ok=True)
            Path(settled.sweep.out, name).write_bytes(content)
    tracker.log_files(files, "sweep")
    best = outcomes[0]
    tracker.log_metrics({**best.figures, "trials": len(outcomes)})
    if settled.sweep.register:
        context = StepContext(workspace, settled.config, tracker, {}, inputs)
        family, own = settled.kind.family, settled.own
        job = family.job(context, own, own.variants[0], own.seeds[0], (*settled.place, MODEL))
        job = replace(job, fingerprint=fingerprint_of({"sweep": settled.place, "trial": asdict(best)}, inputs))
        register(context, family, job, best.figures[family.objective], contends=False)


def main(kind: Kind, prog: str, argv: Sequence[str] | None = None) -> None:
    """Command line of a sweep."""
    with exit_on_error():
        config, options = parse(argv, prog)
        try:
            outcomes = sweep(kind, config, options)
        except KeyboardInterrupt as interrupt:
            why = f"interrupted ({interrupt})" if str(interrupt) else "interrupted"
            print(
                f"{why}: finished trials are saved; run the same command with --resume true to continue",
                file=sys.stderr,
            )
            raise SystemExit(INTERRUPTED) from None
        settled = plan(kind, config, options)
    print("\n".join(describe(settled, outcomes)))
    print(as_text(rows(settled, outcomes)))
    where = options.out or Workspace(config.root).path(*settled.place)
    print(f"table, pictures, report.html and best.yaml (for --config) are in {where}")
