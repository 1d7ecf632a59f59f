"""Options that a sweep varies: the paper's values, ranges that the configs take, what a user may narrow."""

import math
from pathlib import Path

import numpy as np
import pytest

from jobs.runner.config import PipelineConfig
from showcases.errors import ConfigError
from showcases.selector.model import Selector
from tuning.kinds import GENERATOR_KIND, SELECTOR_KIND, Kind, plan
from tuning.options import SweepConfig, parse
from tuning.spaces import GENERATOR, SELECTOR, Choice, Range, at_point, chosen, own_point, paper_point


def test_papers_point_is_the_papers() -> None:
    wanted = {"lambda_image": 0.2, "lambda_text": 0.2, "alpha": math.e, "tau": 0.1, "learning_rate": 1e-4}
    assert paper_point(GENERATOR, PipelineConfig().train_generator) == {**wanted, "mma_layers": 3}
    selector = paper_point(SELECTOR, PipelineConfig().train_selector)
    assert (selector["hidden_dims"], selector["out_dim"], selector["learning_rate"]) == ("512x512x256", 128, 1e-3)
    assert selector["delta"] == PipelineConfig().train_selector.model.delta  # the paper names none


@pytest.mark.parametrize("kind", [GENERATOR_KIND, SELECTOR_KIND])
def test_every_value_that_is_drawn_is_one_that_the_models_take(kind: Kind) -> None:
    rng, config = np.random.default_rng(0), kind.config(PipelineConfig())
    for _ in range(50):
        point = {name: option.domain.draw(rng) for name, option in kind.options.items()}
        there = at_point(kind.options, config, point)
        assert own_point(kind.options, there) == point
        assert there.variants == config.variants and there.loop.epochs == config.loop.epochs
        if kind is SELECTOR_KIND:
            Selector(there.model, "img", 4, 4, "space")  # refuses values that mean nothing


def test_steps_are_even_or_by_factors() -> None:
    assert Range(0.0, 0.6).steps(3) == pytest.approx([0.0, 0.3, 0.6])
    assert Range(0.01, 1.0, log=True).steps(3) == pytest.approx([0.01, 0.1, 1.0])
    assert Range(1, 3, whole=True).steps(9) == [1, 2, 3]
    assert Range(0.01, 1.0, log=True).position(0.1) == pytest.approx(0.5)


def test_a_user_names_options_or_narrows_them() -> None:
    assert list(chosen(GENERATOR, ["tau", "alpha"])) == ["tau", "alpha"]
    narrow = chosen(GENERATOR, {"tau": [0.05, 0.3], "alpha": None})
    assert narrow["tau"].domain == Range(0.05, 0.3, log=True) and narrow["alpha"] == GENERATOR["alpha"]
    assert chosen(SELECTOR, {"kernel": ["rbf"]})["kernel"].domain == Choice(("rbf",))


@pytest.mark.parametrize(
    ("search", "told"),
    [
        (["tua"], "tua.*lambda_image"),
        ({"tau": 0.1}, "lowest, highest"),
        ({"tau": [0.3, 0.1]}, "lower"),
        ({"tau": [0.0, 0.1]}, "> 0"),
        ([], "nothing"),
    ],
)
def test_wrong_searches_are_refused(search: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        chosen(GENERATOR, search)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="choose from"):
        chosen(SELECTOR, {"kernel": ["cosine"]})


def test_command_line_takes_names_ranges_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ranges.yaml"
    file.write_text("{tau: [0.05, 0.3], mma_layers: [1, 2]}\n")
    found = []
    for search in ("[lambda_image, tau]", "{tau: [0.05, 0.3]}", str(file)):
        config, options = parse(["--root", str(tmp_path), "--search", search, "--workers", "2"], "test")
        assert config.cluster.workers == 2
        found.append(plan(GENERATOR_KIND, config, options).options)
    assert [list(options) for options in found] == [["lambda_image", "tau"], ["tau"], ["tau", "mma_layers"]]
    assert found[2]["mma_layers"].domain == Range(1, 2, whole=True)


def test_the_papers_choice_is_kept_among_narrowed_ones() -> None:
    options = SweepConfig(search={"hidden_dims": ["256", "128"]})
    found = plan(SELECTOR_KIND, PipelineConfig(), options)
    assert found.options["hidden_dims"].domain == Choice(("512x512x256", "256", "128"))


@pytest.mark.parametrize(
    "options",
    [
        {"scheduler": "pbt", "search_algorithm": "grid"},
        {"scheduler": "asha", "search_algorithm": "multi"},
        {"trials": 0},
        {"name": "../other"},
        {"reduction": 1},
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SweepConfig(**options)  # type: ignore[arg-type]


def test_selectors_write_no_texts_to_judge() -> None:
    with pytest.raises(ConfigError, match="multi"):
        plan(SELECTOR_KIND, PipelineConfig(), SweepConfig(search_algorithm="multi"))
