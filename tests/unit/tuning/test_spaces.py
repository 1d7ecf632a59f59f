"""The search space holds the paper's point, names real options, and the best point comes back as a config file."""

import math
from dataclasses import fields
from pathlib import Path

import pytest

from jobs.cluster import ClusterConfig
from jobs.config import PipelineConfig, parse
from jobs.training import trainings_at_once
from showcases.errors import ConfigError
from showcases.generator.config import ContrastiveConfig
from tuning.spaces import PAPER_POINT, RANGES, contrastive_space
from tuning.sweep_generator import Outcome, as_table, best_yaml
from tuning.sweep_generator import parse as parse_sweep
from tuning.trial import DRIVER_CPU, at_point


def test_paper_point_is_the_papers_and_inside() -> None:
    assert {"lambda_image": 0.2, "lambda_text": 0.2, "alpha": math.e, "tau": 0.1} == PAPER_POINT
    for name, value in PAPER_POINT.items():
        low, high, _ = RANGES[name]
        assert low < value < high


def test_domains_draw_values_that_the_losses_take() -> None:
    space = contrastive_space()
    assert set(space) == set(PAPER_POINT) <= {field.name for field in fields(ContrastiveConfig)}
    for name, domain in space.items():
        draws = domain.sample(size=200)
        low, high, _ = RANGES[name]
        assert low <= min(draws) < max(draws) <= high
    drawn = [{name: domain.sample() for name, domain in space.items()} for _ in range(20)]
    for point in drawn:  # ContrastiveConfig refuses values that mean nothing
        assert at_point(PipelineConfig().train_generator, point).contrastive.tau == point["tau"]


@pytest.mark.parametrize(
    ("workers", "gpu", "resources", "expected"),
    [
        (1, False, {"CPU": 2.0}, 1),  # 1 + 0.1 CPUs a trial: a second one would need 2.2
        (1, False, {"CPU": 2.2}, 2),
        (2, False, {"CPU": 16.0}, 7),  # 2.1 each
        (2, True, {"CPU": 64.0, "GPU": 5.0}, 2),
        (1, True, {"CPU": 2.0, "GPU": 8.0}, 1),
    ],
)
def test_concurrency_counts_the_workers(workers: int, gpu: bool, resources: dict[str, float], expected: int) -> None:
    config = PipelineConfig(cluster=ClusterConfig(workers=workers, gpu=gpu))
    assert trainings_at_once(config.cluster, resources, DRIVER_CPU) == expected


@pytest.mark.parametrize(("gpu", "resources"), [(False, {"CPU": 4.0}), (True, {"CPU": 64.0}), (False, {})])
def test_a_trial_that_can_never_start_is_refused(gpu: bool, resources: dict[str, float]) -> None:
    config = PipelineConfig(cluster=ClusterConfig(workers=4, gpu=gpu))
    with pytest.raises(ConfigError, match=r"cluster\.workers"):
        trainings_at_once(config.cluster, resources, DRIVER_CPU)


def test_best_point_is_a_config_file_that_keeps_the_rest(tmp_path: Path) -> None:
    point = {"lambda_image": 0.123456789, "lambda_text": 0.0, "alpha": 3.25, "tau": 1 / 3}
    base, best = tmp_path / "base.yaml", tmp_path / "best.yaml"
    base.write_text("train_generator: {loop: {epochs: 7}, contrastive: {image_loss: cl, tau: 0.4}}\n")
    best.write_text(best_yaml(Outcome(point, 2.5)))
    options = parse(["--config", str(base), "--config", str(best)], "test").train_generator
    assert {name: getattr(options.contrastive, name) for name in point} == point  # to the last digit
    assert (options.loop.epochs, options.contrastive.image_loss) == (7, "cl")


def test_table_marks_the_papers_point() -> None:
    other = {**PAPER_POINT, "tau": 0.3}
    lines = as_table([Outcome(other, 2.25), Outcome(dict(PAPER_POINT), 2.5)]).splitlines()
    assert len(lines) == 3
    assert "2.2500" in lines[1] and "0.3000" in lines[1] and "(paper)" not in lines[1]
    assert "2.5000" in lines[2] and "(paper)" in lines[2]


def test_options_of_jobs_and_sweep_on_one_command_line() -> None:
    config, options = parse_sweep(["--root", "elsewhere", "--trials", "9", "--cluster.workers", "2"])
    assert (config.root, config.cluster.workers, options.trials) == ("elsewhere", 2, 9)
    assert config.train_generator == PipelineConfig().train_generator
