"""The paper's point is tried in every kind of search; searchers and schedulers go on where they were cut off."""

import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.runner.cluster import ClusterConfig
from jobs.runner.config import PipelineConfig
from jobs.training.ray_train import trainings_at_once
from showcases.errors import ConfigError
from showcases.storage.artifacts import Workspace
from tuning.kinds import GENERATOR_KIND, Plan, plan
from tuning.options import SweepConfig
from tuning.points import back_inside, drawn, grid, mutations
from tuning.search import HISTORY, ContinuedHalving, NumberedSearch, one_of, population, search
from tuning.spaces import GENERATOR, chosen
from tuning.trial import DRIVER_CPU, NUMBER, POINT

PAPER = {"lambda_image": 0.2, "lambda_text": 0.2, "alpha": math.e, "tau": 0.1}


def planned(root: Path | str = "nowhere", **options: Any) -> Plan:
    return plan(GENERATOR_KIND, PipelineConfig(root=str(root)), SweepConfig(**options))


def test_grid_is_the_papers_point_and_all_combinations() -> None:
    options = chosen(GENERATOR, {"tau": [0.1, 0.4], "lambda_image": [0.0, 0.6]})
    points = grid(options, {"tau": 0.1, "lambda_image": 0.2}, 3)
    assert points[0] == {"tau": 0.1, "lambda_image": 0.2} and len(points) == 10
    rest = [(point["tau"], point["lambda_image"]) for point in points[1:]]
    assert rest == [pytest.approx(pair) for pair in itertools.product((0.1, 0.2, 0.4), (0.0, 0.3, 0.6))]
    assert len(grid(options, points[4], 3)) == 9  # it is one of the combinations
    with pytest.raises(ConfigError, match="grid_steps"):
        grid(chosen(GENERATOR, list(GENERATOR)), {}, 100)


def test_random_points_are_the_papers_and_the_same_for_a_seed() -> None:
    options = chosen(GENERATOR, list(PAPER))
    points = drawn(options, PAPER, 5, seed=1)
    assert points[0] == PAPER and len(points) == 5 and points == drawn(options, PAPER, 5, seed=1)
    assert points[1:] != drawn(options, PAPER, 5, seed=2)[1:]
    assert all(point[name] in option.domain for point in points for name, option in options.items())


@pytest.mark.parametrize("algorithm", ["tpe", "multi"])
def test_optuna_starts_at_the_papers_point_and_numbers_its_own(algorithm: str) -> None:
    searcher = search(planned(search_algorithm=algorithm), 1, 0.1).searcher
    assert searcher is not None
    trials: list[Any] = [searcher.suggest(f"id{number}") for number in range(3)]
    assert [trial[NUMBER] for trial in trials] == [0, 1, 2]
    assert trials[0][POINT] == PAPER and trials[1][POINT] != trials[2][POINT]


def test_papers_point_is_tried_where_it_lies_outside_of_the_ranges(tmp_path: Path) -> None:
    settled = planned(search={"tau": [0.2, 0.4]})
    searcher = NumberedSearch(settled.options, settled.paper, settled.goal, 0)
    first: Any = searcher.suggest("a")
    assert first == {NUMBER: 0, POINT: {"tau": 0.1}}
    searcher.on_trial_complete("a", {settled.goal.score: 1.0})  # Optuna could not hold it
    second: Any = searcher.suggest("b")
    assert 0.2 <= second[POINT]["tau"] <= 0.4
    searcher.save(str(tmp_path / "state"))
    again = NumberedSearch(settled.options, settled.paper, settled.goal, 0)
    again.restore(str(tmp_path / "state"))
    again.on_trial_complete("b", {settled.goal.score: 2.0})
    third: Any = again.suggest("c")
    assert third[NUMBER] == 2 and 0.2 <= third[POINT]["tau"] <= 0.4


@pytest.mark.parametrize(
    "options", [{"search_algorithm": "grid"}, {"scheduler": "pbt"}, {"search_algorithm": "random"}]
)
def test_settled_points_are_given_in_order(options: dict[str, Any]) -> None:
    found = search(planned(trials=4, **options), 2, 0.1)
    points = found.space[POINT]["grid_search"]
    assert points[0] == PAPER and json.loads(json.dumps(points)) == points  # plain, as Ray Tune keeps them
    assert len(points) == found.trials == (3**4 + 1 if options.get("search_algorithm") == "grid" else 4)
    assert found.searcher is None and found.count == 1


def test_a_population_stays_inside_and_changes_no_shapes() -> None:
    options = chosen(GENERATOR, ["tau", "alpha"])
    assert back_inside(options, {"tau": 9.0, "alpha": 0.9}) == {"tau": 0.5, "alpha": 1.05}
    with pytest.raises(ConfigError, match="mma_layers"):
        mutations(chosen(GENERATOR, ["tau", "mma_layers"]), 0)
    scheduler = population(planned(search=["tau", "alpha"]))
    donor = SimpleNamespace(config={POINT: {"tau": 0.49, "alpha": 1.06}})
    for _ in range(30):
        changed, _ = scheduler._get_new_config(None, donor)  # type: ignore[arg-type]
        assert 0.02 <= changed[POINT]["tau"] <= 0.5 and 1.05 <= changed[POINT]["alpha"] <= 10


def test_continued_halving_decides_as_if_it_had_never_been_cut_off(tmp_path: Path) -> None:
    """Half go on after epoch 1, where the trials before had 4 and 2 nats: their median is 3."""
    settled = planned(tmp_path, scheduler="asha", epochs=4, reduction=2)
    history = {"a": [[1.0, 4.0], [2.0, 3.0]], "b": [[1.0, 2.0]]}
    Workspace(str(tmp_path)).write_bytes(json.dumps(history).encode(), *settled.place, HISTORY)
    decisions = {}
    for figure in (3.5, 1.0):
        scheduler, trial = ContinuedHalving(settled), SimpleNamespace(trial_id="c")
        scheduler.on_trial_add(None, trial)
        decisions[figure] = scheduler.on_trial_result(None, trial, {"epoch": 1.0, settled.goal.score: figure})  # type: ignore[arg-type]
    assert decisions == {3.5: "STOP", 1.0: "CONTINUE"}
    fresh = ContinuedHalving(planned(tmp_path / "other", scheduler="asha"))
    fresh.on_trial_add(None, trial)
    assert fresh.on_trial_result(None, trial, {"epoch": 1.0, settled.goal.score: 3.5}) == "CONTINUE"  # type: ignore[arg-type]


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


@pytest.mark.parametrize("concurrent", [1, 2, 3, 7, 16])
def test_of_a_population_so_many_fit_and_no_more(concurrent: int) -> None:
    share = one_of(concurrent)["node:__internal_head__"]
    assert concurrent * (share + 0.001) <= 1.0 < (concurrent + 1) * share
