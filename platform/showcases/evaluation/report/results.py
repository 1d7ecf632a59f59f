"""Tables 1, 2 and 3 from the measurements, with caveats."""

from collections.abc import Iterable, Mapping, Sequence

from showcases import paper
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.selection import Ranked
from showcases.evaluation.systems import GROUND_TRUTH, System
from showcases.metrics.ranking import RankingFigures
from showcases.metrics.text import Figure, with_interval

OTHER_DATA = (
    "The paper's figures are of GEST; ours are of this workspace's corpus: they compare only where the corpus is GEST."
)
SPREAD = (
    "± is the standard deviation over seeds; of one seed, brackets hold the 95 % bootstrap interval over test examples."
)
INTERVALS = (
    "Intervals are percentiles of a bootstrap over the examples, by what each adds to the metric (BLEU, NIST and "
    "METEOR of the summed counts, never a mean of sentence scores). Metrics that count different things (Distinct-n, "
    "USR, feature coverage) depend on how many texts there are, and a text drawn twice brings nothing new: for them a "
    "fifth of the examples is left out at random and the change stretched (delete-d jackknife), about the value."
)
MORE = ("USR", "feature coverage", "keyword coverage", "faithfulness")
WITH_PHOTOS, WITHOUT_PHOTOS = ("img+text", "img"), "text"
BASELINES = ("ST", "R2Gen", "Ref2Seq", "PETER", "Text GPT-2", "Text Random")
ORDER = (GROUND_TRUTH, *BASELINES, "random", "most-popular", "text", "img", "img+text")  # row order; others come last
RANKING = {"Prec": "precision", "Recall": "recall", "F1": "f1", "Div": "diversity"}  # column: of RankingFigures
PERCENT_TABLE_2 = ("BLEU-1", "BLEU-4", "METEOR", "NIST", "Distinct-1", "Distinct-2", "CLIP-Align", "CLIP-Score")


def table_1(statistics: Mapping[str, Mapping[str, float]]) -> Table:
    """Table 1, from build_gest's figures: {raw, s1, s2} -> {images, reviews, …}."""
    counts = tuple(Column(name, 1.0, 2 if name == "average_words" else 0) for name in paper.TABLE_1_COLUMNS)
    rows = tuple(
        Row(name, {c.name: [Figure(float(values[c.name]), 1, "")] for c in counts}, paper.TABLE_1.get(name, {}))
        for name, values in statistics.items()
    )
    notes = (
        "raw: all reviews read; s1: photo selection; s2: texts, of which the words are the distilled explanation's.",
        OTHER_DATA,
    )
    return Table("table_1", "Table 1: the corpus", counts, rows, notes)


def table_2(systems: Mapping[System, Mapping[str, Figure]], protocol: str) -> Table:
    """Table 2: the ground truth, then each generator variant.

    Args:
        systems: (variant, seed) -> figures; the ground truth is (GROUND_TRUTH, 0).
        protocol: of the selector that chose the photos.
    """
    columns = tuple(Column(name) for name in PERCENT_TABLE_2)
    columns += (Column("BERTScore"), Column("length", 1.0, 1))
    rows = [Row(name, measured, paper.TABLE_2.get(name, {})) for name, measured in _by_variant(systems).items()]
    examples = max((f.n for figures in systems.values() for f in figures.values()), default=0)
    notes = (
        f"{examples} test examples; {SPREAD} Values times 100, NIST too, as the paper prints them; length is in words.",
        INTERVALS,
        f"Photos are those that the selector chose (protocol: {protocol}); CLIP-Align and CLIP-Score are against them. "
        "Ground truth: the user's own text against the user's own photos.",
        "The paper's CLIP-Align comes from a classifier whose labels were never released, and METEOR and NIST move by "
        "tens of percent with the library: these columns cannot match the paper's exactly.",
        "BERTScore needs a pretrained language model: name one in evaluate.bertscore_model.",
        OTHER_DATA,
    )
    return Table("table_2", "Table 2: texts", columns, tuple(rows), notes)


def table_2_more(systems: Mapping[System, Mapping[str, Figure]]) -> Table:
    """Metrics that the paper's Table 2 lacks: repetition, coverage, faithfulness; arguments as for `table_2`."""
    rows = tuple(Row(name, measured) for name, measured in _by_variant(systems).items())
    notes = (
        f"{SPREAD} In percent, intervals as in Table 2.",
        "USR: different sentences over all sentences. Feature coverage: share of the phrases mined from all "
        "explanations of the corpus that some text mentions. Both depend on how many texts there are.",
        "Keyword coverage (Figure 6b): mean share of the keywords of the user's own text that the text has; keywords "
        "are its nouns, adjectives and adverbs where evaluate.spacy_model names a pipeline that tags them, else its "
        "words that are no stop words.",
        "Faithfulness: share of the sentences that the classifier finds supported by a photo shown; of the ground "
        "truth's, by one of the user's own.",
    )
    columns = tuple(Column(name) for name in MORE)
    return Table("table_2_more", "Table 2, beside the paper's", columns, rows, notes)


def _by_variant(systems: Mapping[System, Mapping[str, Figure]]) -> dict[str, dict[str, list[Figure]]]:
    """Figures over seeds by variant and metric, variants in the order of the paper's tables."""
    found = {}
    for name in _ordered(variant for variant, _ in systems):
        seeds = [figures for (variant, _), figures in systems.items() if variant == name]
        found[name] = {metric: [figures[metric] for figures in seeds] for metric in seeds[0]}
    return found


def table_3(ranked: Sequence[Ranked], k: int, protocol: str, draws: int = 0) -> Table:
    """Table 3: random, most-popular and each selector variant; intervals by `draws` bootstrap draws."""
    rows = []
    for name in _ordered(entry.name for entry in ranked):
        measured = ranking_cells([entry.figures for entry in ranked if entry.name == name], k, draws)
        rows.append(Row(name, measured, paper.TABLE_3.get(name, {}) if k == 3 else {}))
    notes = (
        f"{ranked[0].figures.examples} test examples; {SPREAD} In percent.",
        f"F1@{k} is the harmonic mean of the averaged precision and recall, as in the paper.",
        _protocol_note(protocol),
        "The paper's split of GEST-s1 was never released: its figures can be matched only statistically. " + OTHER_DATA,
    )
    return Table("table_3", "Table 3: photos", ranking_columns(k), tuple(rows), notes)


def ranking_columns(k: int) -> tuple[Column, ...]:
    """Table 3's columns."""
    return tuple(Column(f"{name}@{k}") for name in RANKING)


def ranking_cells(seeds: Sequence[RankingFigures], k: int, draws: int = 0) -> dict[str, list[Figure]]:
    """Table 3's cells by column, from a ranker's figures over its seeds; a single seed's with their intervals."""
    cells = {f"{name}@{k}": [_figure(figures, part) for figures in seeds] for name, part in RANKING.items()}
    if len(seeds) > 1:
        return cells
    return {name: [with_interval(figure, draws, 0) for figure in figures] for name, figures in cells.items()}


def _ordered(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of the paper's tables."""
    return sorted(dict.fromkeys(names), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _protocol_note(protocol: str) -> str:
    if protocol == "paper":
        return "Protocol `paper`: the user's own photos stay among the candidates (the paper's footnote 5)."
    return "Protocol `deployment`: the user's own photos are not among the candidates, so nothing can be hit."


def _figure(figures: RankingFigures, part: str) -> Figure:
    value = getattr(figures, part)
    note = "n/a (no hits possible)" if value is None else ""
    return Figure(value, figures.examples, "showcases", note=note, statistic=figures.statistics.get(part))


def photo_pair(variants: Iterable[str]) -> tuple[str, str] | None:
    """The variant with photos and the same generator without them, if both were trained."""
    trained = set(variants)
    with_photos = next((name for name in WITH_PHOTOS if name in trained), None)
    return (with_photos, WITHOUT_PHOTOS) if with_photos and WITHOUT_PHOTOS in trained else None


def photos_against_none(systems: Mapping[System, Mapping[str, Figure]], name: str, shown: str) -> Table:
    """The same generator with and without photos, seed by seed.

    Args:
        systems: figures of both variants of a `photo_pair`.
        name: of the table's file.
        shown: which photos the generator saw and CLIP-Align is against, for the title.
    """
    found = photo_pair(variant for variant, _ in systems)
    assert found is not None
    with_photos, without = found
    pairs = [
        (seed, figures, systems[without, seed])
        for (variant, seed), figures in systems.items()
        if variant == with_photos and (without, seed) in systems
    ]
    columns = ("BLEU-1", "CLIP-Align", "CLIP-Score")
    rows = []
    for seed, one, other in pairs:
        for variant, figures in ((with_photos, one), (without, other)):
            rows.append(Row(f"{variant}, seed {seed}", {column: [figures[column]] for column in columns}))
    wins = {column: sum((o[column].value or 0) > (t[column].value or 0) for _, o, t in pairs) for column in columns}
    notes = ("Seeds for which photos help: " + ", ".join(f"{c} {w} of {len(pairs)}" for c, w in wins.items()) + ".",)
    title = f"With photos ({with_photos}) and without ({without}): {shown}"
    return Table(name, title, tuple(Column(column) for column in columns), tuple(rows), notes)
