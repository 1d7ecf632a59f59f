"""The paper's studies: rows that differ in one thing, and what is said of their order."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from showcases import paper
from showcases.evaluation.report.study_tables import table_4, table_5, verdict, verdicts
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.studies import compare_order, table_4_rows, table_5_rows
from showcases.generator.config import ContrastiveConfig, GeneratorConfig, TrainGeneratorConfig
from showcases.metrics.text import Figure

CONFIG = TrainGeneratorConfig(contrastive=ContrastiveConfig(lambda_image=0.3, tau=0.2))
PRETRAINED = replace(CONFIG, model=GeneratorConfig(pretrained="gpt2"))


def differences(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in one.items():
        if isinstance(value, dict):
            found |= differences(value, other[name], f"{prefix}{name}.")
        elif value != other[name]:
            found.add(prefix + name)
    return found


def test_table_4_changes_the_losses_alone():
    rows = table_4_rows(CONFIG)
    assert [row.name for row in rows] == list(paper.TABLE_4)
    losses = [(row.config.contrastive.image_loss, row.config.contrastive.text_loss) for row in rows]
    assert losses == [("none", "none"), ("cl", "cl"), ("ccl", "cl"), ("cl", "pcl"), ("ccl", "pcl")]
    for row in rows:
        assert differences(asdict(CONFIG), asdict(row.config)) <= {"contrastive.image_loss", "contrastive.text_loss"}
        assert row.inputs == "img+text"
    assert len({row.folder for row in rows}) == 5


def test_table_5_with_weights_has_the_papers_rows():
    rows = {row.name: row for row in table_5_rows(PRETRAINED)}
    assert list(rows) == list(paper.TABLE_5)
    base = rows["Img GPT-2"]
    changed = {name: differences(asdict(base.config), asdict(row.config)) for name, row in rows.items()}
    assert changed == {
        "Img Random": {"model.random_init"}, "Text GPT-2": set(), "Img GPT-2": set(), "Img GPT-2 + FT": {"finetune"},
    }  # fmt: skip
    assert [row.inputs for row in rows.values()] == ["img", "text", "img", "img"]
    assert base.config.contrastive.image_loss == base.config.contrastive.text_loss == "none"


def test_order_by_hand():
    printed = {"a": 3.0, "b": 2.0, "c": 1.0}
    # a above b by 0.5 < sqrt(0.3^2 + 0.5^2) = 0.58; c above a by 0.1 < 0.32; c above b by 0.6 > 0.51
    ours = {"a": (5.0, 0.3), "b": (4.5, 0.5), "c": (5.1, 0.1)}
    order = compare_order(ours, printed)
    assert (order.pairs, order.agree, order.clear) == (3, 1, 0)
    assert order.against == (("c", "b"),)
    told = order.sentence("BLEU-1")
    assert told.startswith("BLEU-1: 1 of 3 pairs") and "c above b" in told
    clear = compare_order({"a": (5.0, 0.1), "b": (4.0, 0.1), "c": (3.0, 0.1), "other": (9.0, 0.0)}, printed)
    assert (clear.pairs, clear.agree, clear.clear, clear.against) == (3, 3, 3, ())


@pytest.mark.parametrize("config", [CONFIG, PRETRAINED])
def test_tables_say_whether_the_order_holds_and_what_was_not_run(config: TrainGeneratorConfig) -> None:
    def figures(value: float) -> dict[str, Figure]:
        names = ("BLEU-1", "Distinct-1", "Distinct-2", "CLIP-Align")
        return {name: Figure(value, 40, "here", "words") for name in names}

    rows = table_4_rows(config)
    measured = {row.name: [figures(0.1 + 0.1 * n + 0.001 * seed) for seed in range(3)] for n, row in enumerate(rows)}
    table = table_4(rows, measured)
    assert table.cell(table.rows[1], table.columns[0]) == "20.10 ± 0.10"
    told = table.to_markdown()
    # ours rises from row to row; the paper puts img CL + PCL below CCL + text CL in BLEU-1: 9 of 10 pairs
    assert "BLEU-1: 9 of 10 pairs" in told and "img CL + PCL above CCL + text CL" in told
    assert "| *paper: PC²L* | *10.40* | *28.58* | *85.31* |" in told
    rows = table_5_rows(config)
    told = table_5(rows, {row.name: [figures(0.5)] for row in rows}).to_markdown()
    assert ("Not run, because GPT-2's weights are missing" in told) == (config is CONFIG)
    assert ("of 6 pairs" in told) == (config is PRETRAINED)


def test_a_verdict_counts_over_all_columns() -> None:
    def row(name: str, values: tuple[float, float], printed: dict[str, float]) -> Row:
        return Row(name, {"A": [Figure(v, 9, "") for v in values], "B": [Figure(0.5, 9, "")]}, printed)

    # A: a above b as printed, clearly (3.05 against 1.05, both spread by 0.07); B: ours are level, the paper's are not
    rows = (
        row("a", (3.0, 3.1), {"A": 9.0, "B": 2.0}),
        row("b", (1.0, 1.1), {"A": 8.0, "B": 1.0}),
        row("c", (0, 0), {}),
    )
    table = Table("table_4", "T", (Column("A"), Column("B")), rows)
    assert verdict(table, "x") == (
        "T: the paper's order does not hold throughout: 1 of 2 pairs of rows in 2 columns have the paper's order, "
        "1 of them clearly, 0 clearly the other way round. Differs: x."
    )
    holds = Table("table_3", "T", (Column("A"),), rows)
    assert "T: the paper's order holds: 1 of 1" in verdict(holds, "x")
    told = verdicts([table, holds, Table("figure_3", "F", (), ())], "deployment", pretrained=False)
    assert len(told) == 2 and "random weights" in told[0] and "protocol: deployment" in told[1]
    assert "random weights" not in verdicts([table], "paper", pretrained=True)[0]
