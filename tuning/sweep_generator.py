"""A sweep over the weights, base and temperature of the generator's contrastive losses, with Ray Tune.

`python -m tuning.sweep_generator --config FILE --root URI [--trials N] [--epochs N] [--out FILE]`
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import ray
import yaml
from jsonargparse import ArgumentParser
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from jobs import cluster, tracking
from jobs.config import PipelineConfig, parser
from jobs.step import StepContext, exit_on_error
from jobs.train_generator import prepare
from jobs.training import RUNS, trainings_at_once
from showcases.artifacts import Workspace
from showcases.errors import ShowcasesError
from showcases.generator.config import ContrastiveConfig
from tuning.spaces import PAPER_POINT, contrastive_space
from tuning.trial import DRIVER_CPU, OBJECTIVE, TrialSettings, run_trial

BEST = ("_sweeps", "generator", "best.yaml")  # in the workspace, beside the artifacts; no step reads it
READS = ("gest_s2", "image_embeddings", "sentence_embeddings")


@dataclass(frozen=True)
class SweepConfig:
    """How long to search.

    Args:
        trials: points tried, the paper's among them.
        epochs: passes over the training split a trial.
        search_seed: of the points that are tried.
        max_concurrent: trials side by side; none computes it from what the cluster has now.
        out: local YAML file for the best point, besides the copy in the workspace.
    """

    trials: int = 6
    epochs: int = 4
    search_seed: int = 0
    max_concurrent: int | None = None
    out: str | None = None


@dataclass(frozen=True)
class Outcome:
    """A finished trial: where it was, and the objective there (nats per word, smaller is better)."""

    point: dict[str, float]
    nats_per_word: float


def sweep(config: PipelineConfig, options: SweepConfig) -> list[Outcome]:
    """Try `options.trials` points.

    Returns:
        What ended well, the best first.

    Raises:
        ArtifactError: a step has to run before.
        ShowcasesError: no trial ended well.
    """
    workspace = Workspace(config.root)
    for artifact in READS:
        workspace.require(artifact)
    with cluster.connected(config.cluster):
        concurrent = options.max_concurrent or trainings_at_once(config.cluster, ray.cluster_resources(), DRIVER_CPU)
        with tracking.step_run("sweep-generator", config, asdict(options), None) as tracker:
            print(f"[sweep-generator] {options.trials} trials, {concurrent} side by side", flush=True)
            name = f"sweep-generator-{tracker.run_id[:8]}"
            settings = _settings(config, options, tracker, name)
            outcomes = _outcomes(_tuner(settings, options, concurrent).fit())
            tracker.log_metrics({OBJECTIVE: outcomes[0].nats_per_word, "trials": len(outcomes)})
            _keep(workspace, outcomes)
            workspace.filesystem.delete_dir(workspace.path(RUNS, name))
    return outcomes


def best_yaml(outcome: Outcome) -> str:
    """The point as a file that every job takes with `--config`."""
    return yaml.safe_dump({"train_generator": {"contrastive": outcome.point}}, sort_keys=False)


def as_table(outcomes: Sequence[Outcome]) -> str:
    """One line a trial, the best first."""
    head = "nats/word  " + "  ".join(f"{name:>12}" for name in PAPER_POINT) + "\n"
    return head + "\n".join(
        f"{outcome.nats_per_word:9.4f}  "
        + "  ".join(f"{outcome.point[name]:12.4f}" for name in PAPER_POINT)
        + ("  (paper)" if outcome.point == PAPER_POINT else "")
        for outcome in outcomes
    )


def _settings(config: PipelineConfig, options: SweepConfig, tracker: tracking.Tracker, name: str) -> TrialSettings:
    trials = _for_trials(config, options, tracker.uri)
    context = StepContext(Workspace(trials.root), trials, tracker, {}, {})
    generator = replace(trials.train_generator, contrastive=ContrastiveConfig())  # a point may ask for hard negatives
    arguments = prepare(context, generator, generator.variants[0], generator.seeds[0])
    return TrialSettings(trials, tracker.run_id, name, arguments)


def _for_trials(config: PipelineConfig, options: SweepConfig, uri: str) -> PipelineConfig:
    """Absolute places, since trials run in folders of their own; and the trials' length."""
    root = config.root if "://" in config.root else str(Path(config.root).expanduser().resolve())
    loop = replace(config.train_generator.loop, epochs=options.epochs, checkpoint_every=1)
    return replace(
        config,
        root=root,
        tracking=replace(config.tracking, uri=uri),
        train_generator=replace(config.train_generator, loop=loop),
    )


def _tuner(settings: TrialSettings, options: SweepConfig, concurrent: int) -> tune.Tuner:
    workspace = Workspace(settings.config.root)
    search = OptunaSearch(points_to_evaluate=[PAPER_POINT], seed=options.search_seed)
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, settings=settings), {"CPU": DRIVER_CPU}),
        param_space=contrastive_space(),
        tune_config=tune.TuneConfig(
            metric=OBJECTIVE,
            mode="min",
            search_alg=search,
            num_samples=options.trials,
            max_concurrent_trials=concurrent,
            trial_name_creator=lambda trial: f"trial-{trial.trial_id}",
            trial_dirname_creator=lambda trial: f"trial-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name=settings.name,
            storage_path=workspace.path(RUNS),
            storage_filesystem=workspace.filesystem,
            callbacks=[Progress()],
            verbose=0,
        ),
    )


class Progress(tune.Callback):
    """Says when a trial ended."""

    def on_trial_complete(self, iteration, trials, trial, **info) -> None:  # type: ignore[no-untyped-def]
        figure = trial.last_result.get(OBJECTIVE, float("nan"))
        point = ", ".join(f"{name} {trial.config[name]:.3f}" for name in PAPER_POINT)
        print(f"  {trial}: {figure:.4f} nats/word at {point}", flush=True)


def _outcomes(results: tune.ResultGrid) -> list[Outcome]:
    outcomes = []
    for number in range(len(results)):
        result = results[number]
        if result.error is not None:
            print(f"  a trial failed: {str(result.error).strip().splitlines()[-1]}", file=sys.stderr, flush=True)
        elif result.metrics and result.config and OBJECTIVE in result.metrics:
            point = {name: float(result.config[name]) for name in PAPER_POINT}
            outcomes.append(Outcome(point, float(result.metrics[OBJECTIVE])))
    if not outcomes:
        raise ShowcasesError(f"none of {len(results)} trials ended well; the errors are printed above")
    return sorted(outcomes, key=lambda outcome: outcome.nats_per_word)


def _keep(workspace: Workspace, outcomes: list[Outcome]) -> None:
    """Write the table and the best point into the workspace."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*PAPER_POINT, "nats_per_word"])
    writer.writerows([*outcome.point.values(), outcome.nats_per_word] for outcome in outcomes)
    workspace.write_bytes(table.getvalue().encode(), *BEST[:-1], "trials.csv")
    workspace.write_bytes(best_yaml(outcomes[0]).encode(), *BEST)


def parse(argv: Sequence[str]) -> tuple[PipelineConfig, SweepConfig]:
    """The jobs' options and the sweep's, from one command line."""
    arguments: ArgumentParser = parser("python -m tuning.sweep_generator")
    arguments.add_class_arguments(SweepConfig)
    values = arguments.instantiate_classes(arguments.parse_args(list(argv))).as_dict()
    jobs_options, own = (
        {field.name: values[field.name] for field in fields(kind)} for kind in (PipelineConfig, SweepConfig)
    )
    return PipelineConfig(**jobs_options), SweepConfig(**own)


def main(argv: Sequence[str] | None = None) -> None:
    config, options = parse(sys.argv[1:] if argv is None else argv)
    with exit_on_error():
        outcomes = sweep(config, options)
    print(as_table(outcomes))
    if options.out is not None:
        Path(options.out).write_text(best_yaml(outcomes[0]))
    print(f"best: {options.out or Workspace(config.root).path(*BEST)}, for any job's --config; as it stands:")
    print(best_yaml(outcomes[0]), end="")


if __name__ == "__main__":
    main()
