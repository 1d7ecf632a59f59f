"""What is asked for on the command line is what is made: a default of the other kind was not asked for."""

import pytest

from jobs.reproduce import with_flags
from jobs.runner.config import parse
from jobs.studies.plan import texts_plan
from showcases.evaluation.config import ReproduceConfig
from showcases.generator.config import TrainGeneratorConfig


@pytest.mark.parametrize(
    ("argv", "tables", "figures", "seeds"),
    [
        ([], (1, 2, 3, 4, 5), (3, 6), (0, 1, 2)),
        (["--tables", "2,4"], (2, 4), (), (0, 1, 2)),
        (["--figures=6", "--seeds", "7"], (), (6,), (7,)),
        (["--tables", "1", "--figures", "3", "--seeds=0,1"], (1,), (3,), (0, 1)),
    ],
)
def test_flags(argv: list[str], tables: tuple, figures: tuple, seeds: tuple) -> None:
    options = parse(with_flags(argv), prog="test").reproduce
    assert (options.tables, options.figures, options.seeds) == (tables, figures, seeds)


def test_a_model_of_two_tables_has_one_name() -> None:
    plan = texts_plan(TrainGeneratorConfig(), ReproduceConfig())
    names = {table: {model.name for model in models} for table, models in plan.items()}
    assert names["figure_6"] < names["table_4"] and len(names["figure_6"]) == 6
    assert names["table_2"] & names["table_4"] == {f"generator-pc2l-seed{seed}" for seed in range(3)}
    assert names["table_2"] & names["table_5"] == {f"generator-text-random-seed{seed}" for seed in range(3)}
    assert len(set.union(*names.values())) == 12 + 3 + 15 + 9  # baselines, img, Table 4's five rows, Table 5's three
