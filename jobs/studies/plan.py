"""The models needed for each table and figure of texts."""

from collections.abc import Sequence

from jobs import train_generator
from jobs.studies import baselines
from jobs.studies.models import Wanted
from showcases.baselines import NAMES
from showcases.evaluation.config import ReproduceConfig
from showcases.evaluation.studies import StudyRow, table_4_rows, table_5_rows
from showcases.generator.config import Inputs, TrainGeneratorConfig
from showcases.storage.artifacts import variant_folder

OURS: Inputs = "img+text"
WITH_AND_WITHOUT = ("baseline", "PC²L")  # rows of Table 4 that Figure 6 compares


def texts_plan(config: TrainGeneratorConfig, options: ReproduceConfig) -> dict[str, list[Wanted]]:
    """The models of each table and figure of texts; a model shared by two tables has the same name in both."""
    plan: dict[str, list[Wanted]] = {}
    if 2 in options.tables:
        plain = baselines.of_baseline(config)
        text_only = [row for row in table_5_rows(config) if row.inputs == "text"]
        plan["table_2"] = [
            *(
                Wanted((n, seed), baselines.FAMILY, plain, n, seed, f"{n}-seed{seed}")
                for seed in options.seeds
                for n in NAMES
            ),
            *of_rows(text_only, options),
            *own_models(config, options),
        ]
    if 4 in options.tables:
        plan["table_4"] = of_rows(table_4_rows(config), options)
    if 5 in options.tables:
        plan["table_5"] = of_rows(table_5_rows(config), options)
    if 6 in options.figures:
        plan["figure_6"] = of_rows([row for row in table_4_rows(config) if row.name in WITH_AND_WITHOUT], options)
    return plan


def of_rows(rows: Sequence[StudyRow], options: ReproduceConfig) -> list[Wanted]:
    """The model of each row and seed."""
    return [
        Wanted((row.name, seed), train_generator.FAMILY, row.config, row.inputs, seed, f"{row.folder}-seed{seed}")
        for seed in options.seeds
        for row in rows
    ]


def own_models(config: TrainGeneratorConfig, options: ReproduceConfig) -> list[Wanted]:
    """The pipeline's own generators; reuses the model of a row of Table 4 or 5 if it is the same."""
    rows = (*table_4_rows(config), *table_5_rows(config))
    seeing: tuple[Inputs, ...] = ("img", OURS)
    found = []
    for inputs in seeing:
        same = next((row for row in rows if row.inputs == inputs and row.config == config), None)
        for seed in options.seeds:
            folder = f"{same.folder}-seed{seed}" if same else variant_folder(inputs, seed)
            found.append(Wanted((inputs, seed), train_generator.FAMILY, config, inputs, seed, folder))
    return found
