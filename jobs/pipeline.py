"""Runs all pipeline steps in order; skips steps whose artifacts are current."""

import sys
import time
from collections.abc import Sequence

from jobs import (
    annotate,
    build_gest,
    distill,
    embed,
    evaluate,
    fetch_images,
    ingest,
    publish,
    train_clip,
    train_generator,
    train_selector,
)
from jobs.mlflow_ui import show_command
from jobs.runner import cluster, preflight
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.execute import execute
from jobs.runner.exits import exit_on_error
from jobs.runner.input_files import check_corpus, with_corpus
from jobs.tracking.config import tracking_uri
from jobs.tracking.tracker import pipeline_run
from showcases.storage.artifacts import Workspace
from showcases.storage.claims import hold

STEPS = tuple(
    module.STEP
    for module in (
        ingest,
        fetch_images,
        train_clip,
        embed,
        annotate,
        distill,
        build_gest,
        train_selector,
        train_generator,
        evaluate,
        publish,
    )
)


def run_pipeline(config: PipelineConfig) -> dict[str, float]:
    """Run every step whose artifacts aren't current.

    Returns:
        Seconds by step that ran.

    Raises:
        ShowcasesError: a step failed; the next call resumes there.
    """
    check_corpus(config, [step.name for step in STEPS])
    preflight.check_before_ray(config, STEPS)
    config = with_corpus(config)
    workspace = Workspace(config.root)
    seconds: dict[str, float] = {}
    names = [name for step in STEPS for name in step.writes]
    with (
        hold(workspace, names, "jobs.pipeline", print) as claim,
        cluster.connected(config.cluster),
        pipeline_run(config, is_claimed=True) as parent,
    ):
        preflight.check(config, STEPS)
        for number, step in enumerate(STEPS, start=1):
            print(f"({number}/{len(STEPS)}) ", end="", flush=True)
            started = time.perf_counter()
            if execute(step, workspace, config, parent, claim):
                seconds[step.name] = time.perf_counter() - started
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    with exit_on_error():
        config = parse(argv, prog="python -m jobs.pipeline")
        seconds = run_pipeline(config)
    ran = ", ".join(f"{name} {spent:.0f} s" for name, spent in seconds.items())
    print(f"\nran: {ran or 'nothing, everything is current'} ({sum(seconds.values()):.0f} s)")
    print(f"report: {Workspace(config.root).path('report', 'report.html')}")
    print(f"runs and models: {show_command(config.root, tracking_uri(config))}")


if __name__ == "__main__":
    main(sys.argv[1:])
