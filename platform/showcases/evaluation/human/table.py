"""Table 6 and its verdict: is the paper's order of the models reproduced, and is it significant?"""

from dataclasses import replace

import numpy as np

from showcases import paper
from showcases.evaluation.human.outcome import Outcome
from showcases.evaluation.human.questions import QUESTIONS
from showcases.evaluation.human.ratings import example_means, paired_means
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.metrics.bootstrap import DRAWS
from showcases.metrics.text import Figure, mean_figure, with_interval

LEVEL = 0.01  # the paper's


def table_6(result: Outcome, draws: int = DRAWS, seed: int = 0) -> Table:
    """Table 6: each model's means, then ours minus each other's, with the sign test's p."""
    models = result.study.models
    rows = []
    for number, model in enumerate(models):
        means = {q.column: example_means(result.scores[q.name][:, number]) for q in QUESTIONS}
        figures = {column: [_mean(values, draws, seed)] for column, values in means.items()}
        rows.append(Row(model, figures, paper.TABLE_6.get(model.replace("PC2L", "PC²L"), {})))
    rows += [_ahead(result, number, draws, seed) for number in range(len(models) - 1)]
    columns = tuple(Column(question.column, scale=1.0) for question in QUESTIONS)
    return Table("table_6", "Table 6: human evaluation", columns, tuple(rows), tuple(notes(result)))


def _ahead(result: Outcome, other: int, draws: int, seed: int) -> Row:
    models, figures = result.study.models, {}
    for question in QUESTIONS:
        ours, theirs = paired_means(result.scores[question.name], len(models) - 1, other)
        figure = _mean(ours - theirs, draws, seed)
        p = None if figure.value is None else result.tests[question.name][models[other]].p
        figures[question.column] = [replace(figure, p=p)]
    return Row(f"{models[-1]} less {models[other]}", figures)


def _mean(values: np.ndarray, draws: int, seed: int) -> Figure:
    return with_interval(mean_figure(values, "showcases", "", "n/a (no ratings)"), draws, seed)


def notes(result: Outcome) -> list[str]:
    """Notes below the table."""
    study = result.study
    examples = len(next(iter(result.scores.values())))
    included = study.judges - len(result.excluded)
    out = f" ({len(result.excluded)} of {study.judges} left out: attention checks)" if result.excluded else ""
    lines = [
        f"{examples} test examples, {included} judges{out}, Likert 1 to 5. A mean is over examples of the mean over "
        "judges; in brackets its 95 % bootstrap interval over examples.",
        "Sign test: two-sided, paired by example, on means over the judges who rated both texts; ties are dropped. No "
        "correction for asking two questions. The paper had 500 examples and 3 judges, on GEST.",
    ]
    for question in QUESTIONS:
        for other, test in result.tests[question.name].items():
            lines.append(
                f"{question.column}, {study.models[-1]} against {other}: {test.wins} won, {test.losses} lost, "
                f"{test.ties} tied; p = {test.p:.3g}."
            )
    agreed = ((q.column, result.agreement[q.name]) for q in QUESTIONS)
    words = ", ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in agreed)
    lines.append(f"Agreement of the judges, Krippendorff's ordinal alpha: {words}.")
    return lines


def verdicts(result: Outcome) -> list[str]:
    """One line per question and other model: does the paper's order hold, and is it significant?"""
    lines, models = [], result.study.models
    for question in QUESTIONS:
        for number, (other, test) in enumerate(result.tests[question.name].items()):
            ours, theirs = paired_means(result.scores[question.name], len(models) - 1, number)
            away = ours - theirs
            if np.isnan(away).all():
                lines.append(f"{question.column}: no example has ratings of both {models[-1]} and {other}")
                continue
            ahead = float(np.nanmean(away))
            where = "above" if ahead > 0 else "below" if ahead < 0 else "from"
            clear = test.p < LEVEL and (test.wins > test.losses) == (ahead > 0)
            lines.append(
                f"{question.column}: the paper's order {'holds' if ahead > 0 else 'does not hold'}: {models[-1]} is "
                f"{abs(ahead):.2f} {where} {other}; {'significant' if clear else 'not significant'} at p < {LEVEL} "
                f"(p = {test.p:.3g})"
            )
    return lines
