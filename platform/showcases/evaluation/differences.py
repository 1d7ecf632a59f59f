"""Paired bootstrap tests of the text metrics between systems."""

from collections.abc import Mapping
from itertools import combinations

from showcases.evaluation.report.results import MORE, PERCENT_TABLE_2
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.systems import GROUND_TRUTH, System
from showcases.metrics.bootstrap import paired_bootstrap
from showcases.metrics.text import Figure

COLUMNS = (*PERCENT_TABLE_2, "BERTScore", *MORE)


def differences(
    systems: Mapping[System, Mapping[str, Figure]], draws: int, seed: int, only: str | None = None
) -> Table | None:
    """Compare all pairs of variants with the same seed, in the given order; None without pairs or draws.

    Args:
        systems: (variant, seed) -> figures with their statistics; METEOR's needs its program running.
        only: a variant that must be first in every pair.
    """
    generated = {system: figures for system, figures in systems.items() if system[0] != GROUND_TRUTH}
    pairs = [(one, other) for one, other in combinations(generated, 2) if one[1] == other[1] and only in (None, one[0])]
    if not pairs or not draws:
        return None
    rows = []
    for one, other in pairs:
        cells = {name: [difference(generated[one][name], generated[other][name], draws, seed)] for name in COLUMNS}
        rows.append(Row(f"{one[0]} − {other[0]}, seed {one[1]}", cells))
    notes = (
        f"Differences times 100, with 95 % intervals and two-sided p of a paired bootstrap over the test examples "
        f"({draws:,} draws; Koehn 2004). One training run a row: p says whether other test examples would show the "
        "same, not whether another run would, and nothing is corrected for the number of tests.",
    )
    title = "Differences between systems"
    return Table("table_2_differences", title, tuple(Column(name) for name in COLUMNS), tuple(rows), notes)


def difference(one: Figure, other: Figure, draws: int, seed: int) -> Figure:
    """One figure minus the other; without a value if either has none."""
    if one.statistic is None or other.statistic is None or one.value is None or other.value is None:
        return Figure(None, 0, "", note=one.note or other.note)
    found = paired_bootstrap(one.statistic, other.statistic, draws, seed)
    if found is None:
        return Figure(None, one.n, one.library, one.tokenizer, note="n/a (too few examples)")
    ends = (found.low, found.high)
    return Figure(found.value, one.n, one.library, one.tokenizer, interval=ends, p=found.p)
