"""Tables 3 to 5 over several seeds: ours beside the paper's, and whether the paper's order holds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from showcases import paper
from showcases.evaluation.report.results import OTHER_DATA
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.studies import Order, StudyRow, compare_order
from showcases.metrics.text import Figure

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
            f"Not run, because GPT-2's weights are missing (--train_generator.model.pretrained gpt2): "
            f"{', '.join(missing)}. Instead, the same inputs were run with random weights, which the paper did not do.",
        )
    title = "Table 5: initialisations"
    return _study("table_5", title, rows, measured, paper.TABLE_5_COLUMNS, paper.TABLE_5, notes)


def orders(table: Table) -> dict[str, Order]:
    """How the order of the rows compares with the paper's, for columns with at least two rows in the paper."""
    found = {}
    for column in table.columns:
        theirs = {row.name: row.paper[column.name] for row in table.rows if column.name in row.paper}
        values = {row.name: row.value(column.name) for row in table.rows}
        ours = {name: (mean, spread or 0.0) for name, (mean, spread) in values.items() if mean is not None}
        order = compare_order(ours, theirs)
        if order.pairs:
            found[column.name] = order
    return found


def with_order(table: Table) -> Table:
    """Add a sentence per column on whether the paper's order of the rows holds."""
    notes = tuple(order.sentence(column) for column, order in orders(table).items())
    return replace(table, notes=(*notes, *table.notes))


def verdict(table: Table, differs: str) -> str:
    """One line: whether the paper's order of the rows holds in this table, and where the protocol differs.

    Args:
        differs: differences from the paper's protocol, a clause.
    """
    found = orders(table)
    pairs, agree = (sum(getattr(order, part) for order in found.values()) for part in ("pairs", "agree"))
    clear, against = sum(order.clear for order in found.values()), sum(len(o.against) for o in found.values())
    if not pairs:
        return f"{table.title}: nothing to compare with the paper's order. Differs: {differs}."
    holds = "the paper's order holds" if agree == pairs else "the paper's order does not hold throughout"
    return (
        f"{table.title}: {holds}: {agree} of {pairs} pairs of rows in {len(found)} columns have the paper's order, "
        f"{clear} of them clearly, {against} clearly the other way round. Differs: {differs}."
    )


def verdicts(tables: Sequence[Table], protocol: str, pretrained: bool) -> list[str]:
    """One line per table of the paper.

    Args:
        protocol: of the selector.
        pretrained: whether the generators start from published weights.
    """
    scratch = "" if pretrained else "; decoders start from random weights, not from GPT-2's"
    split = f"the paper's split for photo selection was never released, protocol: {protocol}"
    labels = "CLIP-Align's classifier has other labels, because the paper's were never released"
    differs = {
        "table_1": "the corpus, where it is not GEST",
        "table_2": f"{labels}; photos come from a selector ({split}){scratch}",
        "table_3": split,
        "table_4": f"{labels}; photos come from a selector ({split}){scratch}",
        "table_5": f"photos come from a selector ({split}){scratch}",
    }
    return [verdict(table, differs[table.name]) for table in tables if table.name in differs]


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
