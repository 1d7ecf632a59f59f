"""The files that describe the results of a sweep: table, pictures, page, the best config."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from tuning.kinds import Plan
from tuning.outcomes import Outcome, as_csv, as_text, best_yaml, front, rows, whole
from tuning.pictures import importances, pictures


def result_files(settled: Plan, outcomes: Sequence[Outcome]) -> dict[str, bytes]:
    """The files of a sweep's results by name.

    Args:
        outcomes: the best first.
    """
    drawn = pictures(settled, outcomes)
    config = best_yaml(settled, outcomes[0])
    texts = {"The best config": config, "Trials": as_text(rows(settled, outcomes))}
    html = page(settled.title, describe(settled, outcomes), drawn, texts)
    files = {"trials.csv": as_csv(settled, outcomes), "best.yaml": config, "report.html": html}
    if shares := importances(settled, outcomes):
        files["importance.csv"] = "option,share\n" + "".join(f"{name},{share}\n" for name, share in shares.items())
    return {name: text.encode() for name, text in files.items()} | {
        f"{name}.png": png for name, (_, png) in drawn.items()
    }


def page(title: str, lines: Sequence[str], drawn: Mapping[str, tuple[str, bytes]], texts: Mapping[str, str]) -> str:
    """All of it as one HTML file that loads nothing: MLflow shows it with the run."""
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in lines)]
    for caption, png in drawn.values():
        source = f"data:image/png;base64,{b64encode(png).decode()}"
        parts.append(
            f'<p><img style="max-width: 100%" alt="{escape(caption)}" src="{source}"><br>{escape(caption)}</p>'
        )
    parts += [f"<h2>{escape(head)}</h2><pre>{escape(text)}</pre>" for head, text in texts.items()]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return head + '<body style="font-family: sans-serif">' + "\n".join(parts) + "</body></html>\n"


def describe(settled: Plan, outcomes: Sequence[Outcome]) -> list[str]:
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
