"""The files that tell what came of a sweep: table, pictures, page, the best config."""

from collections.abc import Sequence

from tuning.importance import importances
from tuning.kinds import Plan
from tuning.outcomes import Outcome, as_csv, best_yaml, front, rows, whole
from tuning.page import page
from tuning.pictures import pictures, png


def result_files(settled: Plan, outcomes: Sequence[Outcome]) -> dict[str, bytes]:
    """By name the files that tell what came of a sweep."""
    compared = whole(outcomes)
    scores = [outcome.figures[settled.goal.score] for outcome in compared]
    shares = importances(settled.options, [outcome.point for outcome in compared], scores)
    drawn = pictures(settled, outcomes, shares)
    config = best_yaml(settled, outcomes[0])
    title = settled.title
    html = page(title, told(settled, outcomes), rows(settled, outcomes), drawn, config)
    files = {"trials.csv": as_csv(settled, outcomes), "best.yaml": config, "report.html": html}
    if shares:
        files["importance.csv"] = "option,share\n" + "".join(f"{name},{share}\n" for name, share in shares.items())
    return {name: text.encode() for name, text in files.items()} | {
        f"{name}.png": png(figure) for name, (_, figure) in drawn.items()
    }


def told(settled: Plan, outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader of the results must know."""
    own, best = settled.sweep, outcomes[0]
    goal = " × ".join(settled.goal.metrics) if len(settled.goal.metrics) > 1 else settled.goal.score
    lines = [
        f"{len(outcomes)} trials of at most {own.epochs} epochs (search {own.search_algorithm}, scheduler "
        f"{own.scheduler}), ordered by {goal}; {'larger' if settled.goal.larger_is_better else 'smaller'} is better.",
        f"The best is {best.name}. All figures are of one seed on the validation split that the points were chosen by: "
        "small differences may be chance.",
    ]
    if len(settled.goal.metrics) > 1:
        names = ", ".join(outcome.name for outcome in front(settled, outcomes))
        lines.append(f"On the Pareto front, where no figure can be had without loss in another: {names}.")
    if early := len(outcomes) - len(whole(outcomes)):
        lines.append(
            f"{early} of them ended after fewer epochs than the others: what they reached can't be compared with the "
            "rest, so response curves and importance leave them out."
        )
    if own.scheduler == "pbt":
        lines.append("Options changed during training: they are those that each trial ended with.")
    return lines
