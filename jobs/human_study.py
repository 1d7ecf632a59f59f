"""The human evaluation, Table 6: exports Label Studio tasks, imports the judges' answers.

    python -m jobs.human_study export --config FILE --root URI --out DIR [--models NAME=PLACE,...] [--texts FILE]
    python -m jobs.human_study import --key DIR/key.json --out DIR --answers FILE ...

`import` needs neither Ray nor torch: it runs wherever the answers are.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from jobs.runner.exits import exit_on_error
from jobs.studies.human_files import DEFAULT_MODELS, write
from showcases.evaluation.human.answers import Collected, collect
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.key import read_key
from showcases.evaluation.human.outcome import outcome
from showcases.evaluation.human.table import table_6, verdicts

HELP = {
    "count": "maximum number of test examples",
    "judges": "number of judges",
    "per_item": "judges per text",
    "checks": "attention checks, as a share of a judge's texts",
    "photo_side": "px, the shorter side of a photo",
}


def parser() -> argparse.ArgumentParser:
    """`export` and `import` with their flags."""
    result = argparse.ArgumentParser(prog="python -m jobs.human_study", description=__doc__.split("\n")[0])
    commands = result.add_subparsers(dest="command", required=True)
    export = commands.add_parser(
        "export",
        allow_abbrev=False,
        help="draw examples, write the tasks and the key",
        epilog="Any other option is one of the workspace's configuration: --config, --root, --seed, --SECTION.OPTION; "
        "see python -m jobs.pipeline --help.",
    )
    export.add_argument("--out", type=Path, required=True, help="folder for tasks, texts and key")
    export.add_argument("--models", help=f"NAME=FOLDER under the root, our model last; default {DEFAULT_MODELS}")
    export.add_argument("--texts", type=Path, help="JSON lines of review_id, model, text, for external models")
    for option in fields(StudyConfig):
        if option.name != "seed":
            kind = float if option.name == "checks" else int
            export.add_argument(f"--{option.name}", type=kind, default=option.default, help=HELP[option.name])
    found = commands.add_parser("import", help="read answers, print and write Table 6")
    found.add_argument("--answers", type=Path, nargs="+", required=True, help="Label Studio's JSON exports")
    found.add_argument("--key", type=Path, required=True, help="key.json of the export")
    found.add_argument("--out", type=Path, required=True, help="folder for the table")
    found.add_argument("--exclude_failed", action="store_true", help="exclude judges who fail the attention checks")
    found.add_argument("--draws", type=int, default=1000, help="bootstrap samples for the intervals")
    return result


def import_answers(
    answers: Sequence[Path], key: Path, out: Path, exclude_failed: bool = False, draws: int = 1000
) -> str:
    """Write Table 6 as table_6.md and table_6.csv, and missing.csv; returns the report text.

    Raises:
        StudyError: the key or a file of answers is invalid, or they belong to different studies.
    """
    collected = collect(read_key(key), answers)
    result = outcome(collected, exclude_failed)
    table = table_6(result, draws)
    report = [
        table.to_markdown(),
        *(f"- {line}" for line in verdicts(result)),
        *(f"- attention, {entry.report()}" for entry in result.attention),
        *(f"- excluded: judge {judge}, who failed the attention checks" for judge in result.excluded),
        *(f"- {line}" for line in collected.report()),
    ]
    text = "\n".join(report) + "\n"
    write(out, {"table_6.md": text, "table_6.csv": table.to_csv(), "missing.csv": missing(collected)})
    return text


def missing(collected: Collected) -> str:
    """CSV of unanswered tasks: judge, place in the judge's list (from 1), token, questions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("judge", "place", "token", "questions"))
    study = collected.study
    places = {item.token: n for j in range(1, study.judges + 1) for n, item in enumerate(study.of_judge(j), 1)}
    for item, names in collected.missing():
        writer.writerow((item.judge, places[item.token], item.token, " ".join(names)))
    return text.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    options, rest = parser().parse_known_args(argv)
    if options.command == "import" and rest:
        parser().error(f"unknown: {' '.join(rest)}")
    with exit_on_error():
        if options.command == "import":
            print(import_answers(options.answers, options.key, options.out, options.exclude_failed, options.draws))
        else:
            from jobs.studies.human_export import export  # local import: loads Ray and torch

            export(options, rest)


if __name__ == "__main__":
    main()
