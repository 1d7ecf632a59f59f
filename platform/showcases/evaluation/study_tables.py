"""Tables 3 to 5 over several seeds: ours beside the paper's, and whether the paper's order holds."""

from collections.abc import Mapping, Sequence

from showcases.evaluation import paper
from showcases.evaluation.results import OTHER_DATA
from showcases.evaluation.studies import StudyRow, compare_order
from showcases.evaluation.tables import Column, Row, Table
from showcases.evaluation.text_metrics import Figure

Measured = Mapping[str, Sequence[Mapping[str, Figure]]]  # by row, the figures of each seed
SPREAD = "± is the standard deviation over seeds; rows differ clearly where their means lie farther apart than that."
ALIGNMENT = "The paper's CLIP-Align comes from a classifier whose labels were never released."


def table_4(rows: Sequence[StudyRow], measured: Measured) -> Table:
    """Table 4: contrastive losses."""
    title = "Table 4: contrastive losses (img+text)"
    return _study("table_4", title, rows, measured, paper.TABLE_4_COLUMNS, paper.TABLE_4, (ALIGNMENT,))


def table_5(rows: Sequence[StudyRow], measured: Measured) -> Table:
    """Table 5: initialisations."""
    missing = [name for name in paper.TABLE_5 if name not in {row.name for row in rows}]
    notes: tuple[str, ...] = ("Without contrastive losses.",)
    if missing:
        notes += (
            f"Not run, for want of GPT-2's weights (--train_generator.model.pretrained gpt2): {', '.join(missing)}. "
            "In their places stand the same inputs with random weights, which the paper has not.",
        )
    title = "Table 5: initialisations"
    return _study("table_5", title, rows, measured, paper.TABLE_5_COLUMNS, paper.TABLE_5, notes)


def with_order(table: Table, only: Sequence[str] | None = None) -> Table:
    """The table with a sentence a column on whether the paper's order of its rows holds."""
    notes = []
    for column in table.columns:
        theirs = {row.name: row.paper[column.name] for row in table.rows if column.name in row.paper}
        values = {row.name: row.value(column.name) for row in table.rows}
        ours = {name: (mean, spread or 0.0) for name, (mean, spread) in values.items() if mean is not None}
        if len(theirs) > 1 and (only is None or column.name in only):
            notes.append(compare_order(ours, theirs).sentence(column.name))
    return Table(table.name, table.title, table.columns, table.rows, (*notes, *table.notes))


def _study(
    name: str,
    title: str,
    rows: Sequence[StudyRow],
    measured: Measured,
    columns: Sequence[str],
    printed: Mapping[str, Mapping[str, float]],
    notes: tuple[str, ...],
) -> Table:
    others = [extra for extra in ("BLEU-1", "Distinct-1", "Distinct-2", "CLIP-Align") if extra not in columns]
    found = tuple(
        Row(
            row.name,
            {column: [figures[column] for figures in measured[row.name]] for column in (*columns, *others)},
            printed.get(row.name, {}),
        )
        for row in rows
    )
    count = {figure.n for row in found for figures in row.figures.values() for figure in figures}
    notes = (f"{max(count, default=0)} test examples. {SPREAD}", *notes, OTHER_DATA)
    return with_order(Table(name, title, tuple(Column(column) for column in (*columns, *others)), found, notes))
