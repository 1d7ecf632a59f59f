"""What a sweep leaves behind: tables, real pictures, a page on its own, a config that the jobs take, importance."""

import base64
import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.runner.config import PipelineConfig, parse
from showcases.errors import ShowcasesError
from tuning.kinds import GENERATOR_KIND, SELECTOR_KIND, TEXT_FIGURES, Plan, plan
from tuning.options import SweepConfig
from tuning.outcomes import Outcome, as_csv, as_text, best_yaml, front, in_order, rows, whole
from tuning.pictures import importances, study_of
from tuning.points import drawn
from tuning.results import describe, result_files


def swept(settled: Plan, figures: list[dict[str, float]]) -> list[Outcome]:
    points = drawn(settled.options, settled.paper, len(figures), seed=0)
    return [Outcome(f"t{n}", n, points[n], figures[n], 4, 30.0) for n in range(len(figures))]


def one_figure(values: list[float]) -> tuple[Plan, list[Outcome]]:
    settled = plan(GENERATOR_KIND, PipelineConfig(), SweepConfig())
    return settled, swept(settled, [{settled.goal.score: value} for value in values])


def three_figures() -> tuple[Plan, list[Outcome]]:
    settled = plan(GENERATOR_KIND, PipelineConfig(), SweepConfig(search_algorithm="multi"))
    values = [(0.3, 0.6, 0.1), (0.2, 0.7, 0.1), (0.2, 0.6, 0.1), (0.1, 0.1, 0.9), (0.3, 0.6, 0.1)]
    figures = [dict(zip(TEXT_FIGURES, three, strict=True)) for three in values]
    product = [
        {**each, "product": float(np.prod(list(each.values()))), "best_val_nats_per_word": 3.0} for each in figures
    ]
    return settled, swept(settled, product)


def test_the_best_is_first_and_the_papers_point_is_named() -> None:
    settled, outcomes = one_figure([2.5, 2.25, 3.0])
    best = in_order(settled, outcomes)
    assert [outcome.name for outcome in best] == ["trial-01", "paper", "trial-02"]
    lines = as_text(rows(settled, best)).splitlines()
    assert len(lines) == 4 and "2.2500" in lines[1] and lines[2].split()[0] == "paper" and "0.2" in lines[2]
    table = list(csv.DictReader(io.StringIO(as_csv(settled, best))))
    assert [float(row["best_val_nats_per_word"]) for row in table] == [2.25, 2.5, 3.0]
    assert float(table[1]["tau"]) == 0.1
    with pytest.raises(ShowcasesError, match="no trial"):
        in_order(settled, [])


def test_the_front_is_what_no_other_beats() -> None:
    """The third has the second's first figure and less of the second; the last is the first's equal."""
    settled, outcomes = three_figures()
    assert [outcome.number for outcome in front(settled, outcomes)] == [0, 1, 3, 4]
    best = in_order(settled, outcomes)
    assert [outcome.number for outcome in best] == [0, 4, 1, 2, 3]  # products .018 .018 .014 .012 .009
    assert "paper, trial-04, trial-01, trial-03" in describe(settled, best)[-1]


def test_best_config_is_taken_by_the_job_as_it_is(tmp_path: Path) -> None:
    base, file = tmp_path / "base.yaml", tmp_path / "best.yaml"
    base.write_text(
        "train_generator: {loop: {epochs: 7}, contrastive: {image_loss: cl, tau: 0.4}, model: {n_embd: 64}}"
    )
    config = parse(["--config", str(base)], "test")
    settled = plan(GENERATOR_KIND, config, SweepConfig(search=["tau", "mma_layers", "learning_rate"]))
    point = {"tau": 1 / 3, "mma_layers": 2, "learning_rate": 0.00123456789}
    file.write_text(best_yaml(settled, Outcome("t", 1, point, {}, 1, 1.0)))
    taken = parse(["--config", str(file)], "test").train_generator
    assert (taken.contrastive.tau, taken.model.mma_layers, taken.loop.lr) == tuple(point.values())  # to the last digit
    assert (taken.loop.epochs, taken.contrastive.image_loss, taken.model.n_embd) == (7, "cl", 64)


def test_best_config_of_a_selector_has_its_widths(tmp_path: Path) -> None:
    settled = plan(SELECTOR_KIND, PipelineConfig(), SweepConfig(search=["hidden_dims", "kernel"]))
    file = tmp_path / "best.yaml"
    file.write_text(best_yaml(settled, Outcome("t", 1, {"hidden_dims": "256x64", "kernel": "rbf"}, {}, 1, 1.0)))
    taken = parse(["--config", str(file)], "test").train_selector.model
    assert (taken.hidden_dims, taken.kernel) == ((256, 64), "rbf")


def test_importance_finds_the_option_that_matters() -> None:
    """Of y = 5 tau + lambda_image: over these ranges tau moves it by 2.4, lambda_image by 0.6: 16 to 1 in variance."""
    search = {"lambda_image": None, "tau": [0.02, 0.5], "alpha": None}
    settled = plan(GENERATOR_KIND, PipelineConfig(), SweepConfig(search=search))
    score = settled.goal.score
    outcomes = [
        replace(each, figures={score: 5 * float(each.point["tau"]) + float(each.point["lambda_image"])})
        for each in swept(settled, [{score: 0.0}] * 60)
    ]
    shares = importances(settled, outcomes)
    assert shares is not None and list(shares)[:2] == ["tau", "lambda_image"]
    assert shares["tau"] > 0.75 and shares["alpha"] < 0.05 and sum(shares.values()) == pytest.approx(1.0)
    assert importances(settled, outcomes[:3]) is None
    assert importances(settled, [replace(each, figures={score: 1.0}) for each in outcomes]) is None


def test_importance_takes_choices_and_a_point_outside() -> None:
    settled = plan(SELECTOR_KIND, PipelineConfig(), SweepConfig(search={"kernel": None, "sigma": [0.5, 1.0]}))
    outcomes = [
        replace(each, figures={settled.goal.score: float(each.point["kernel"] == "rbf")})
        for each in swept(settled, [{settled.goal.score: 0.0}] * 30)
    ]
    shares = importances(settled, outcomes)
    assert shares is not None and shares["kernel"] > 0.95


def test_what_was_stopped_early_is_compared_with_nothing() -> None:
    """Trials that ran to the end follow tau alone; those stopped after one are far worse, by their lambda_image."""
    settled, outcomes = one_figure([0.0] * 40)
    score, names = settled.goal.score, list(settled.options)
    made = [
        replace(
            outcome,
            figures={score: 6 + 9 * float(outcome.point["lambda_image"]) if early else float(outcome.point["tau"])},
            epochs=1 if early else 4,
        )
        for outcome in outcomes
        for early in [outcome.number % 3 == 2]
    ]
    best = in_order(settled, made)
    files = result_files(settled, best)
    shares = {
        row["option"]: float(row["share"]) for row in csv.DictReader(io.StringIO(files["importance.csv"].decode()))
    }
    assert max(shares, key=shares.__getitem__) == "tau" and shares["lambda_image"] < 0.1, shares
    assert "13 of them ended after fewer epochs" in " ".join(describe(settled, best)) and len(shares) == len(names)
    assert len(whole(best)) == 27 and "trial-02" in files["trials.csv"].decode()
    assert [trial.value for trial in study_of(settled, best).trials] == [
        outcome.figures[score] for outcome in sorted(made, key=lambda outcome: outcome.number) if outcome.epochs == 4
    ]
    assert "fewer epochs" not in " ".join(describe(settled, in_order(settled, outcomes)))


@pytest.mark.parametrize("many", [False, True])
def test_files_are_real_pictures_and_a_page_on_its_own(many: bool) -> None:
    settled, outcomes = three_figures() if many else one_figure([2.5, 2.25, 3.0, 2.75, 2.6])
    best = in_order(settled, outcomes)
    files = result_files(settled, best)
    pictures = {"parallel.png", "responses.png", "importance.png"} | ({"front.png"} if many else set())
    assert set(files) == pictures | {"trials.csv", "best.yaml", "report.html", "importance.csv"}
    for name in pictures:
        with Image.open(io.BytesIO(files[name])) as picture:
            picture.load()
            assert picture.format == "PNG" and len(set(picture.convert("L").getdata())) > 20  # something is drawn
    html = files["report.html"].decode()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", html)
    assert sorted(sources) == sorted(
        f"data:image/png;base64,{base64.b64encode(files[name]).decode()}" for name in pictures
    )
    shares = [float(row["share"]) for row in csv.DictReader(io.StringIO(files["importance.csv"].decode()))]
    assert sum(shares) == pytest.approx(1.0)


def test_selectors_choices_are_drawn_too() -> None:
    settled = plan(SELECTOR_KIND, PipelineConfig(), SweepConfig())
    outcomes = swept(settled, [{settled.goal.score: value} for value in (5.0, 4.0, 6.0)])
    files = result_files(settled, in_order(settled, outcomes))
    assert files["responses.png"][:4] == b"\x89PNG" and "importance.png" not in files  # of too few trials
