"""Reproduces the paper's tables and figures: trains missing models, reuses existing ones, compares with the paper.

    python -m jobs.reproduce --config FILE --root URI [--tables 1,2,3,4,5] [--figures 3,6] [--seeds 0,1,2]

With only --tables no figures are made, and vice versa. An interrupted run resumes from the last checkpoint. Output goes
to _reproduce/ under the workspace root.
"""

import datetime
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import ray

from jobs import build_gest, train_selector
from jobs.evaluating.report_parts import labels_of, left_out
from jobs.pipeline import STEPS
from jobs.runner import cluster, preflight
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.execute import execute
from jobs.runner.exits import exit_on_error
from jobs.runner.input_files import with_corpus
from jobs.runner.needs import evaluate_needs, generator_needs
from jobs.studies.models import FOLDER, Study, Wanted, make
from jobs.studies.plan import OURS, texts_plan
from jobs.studies.texts import Read, read_all
from jobs.tracking.tracker import pipeline_run, step_run
from jobs.training.ray_train import METRICS_FILE
from showcases.evaluation.config import EvaluateConfig
from showcases.evaluation.differences import differences
from showcases.evaluation.report import results, study_tables
from showcases.evaluation.report.drawing import Picture
from showcases.evaluation.report.figures import figure_3, figure_6a, figure_6b
from showcases.evaluation.report.gallery import Showcase
from showcases.evaluation.report.page import Report
from showcases.evaluation.report.tables import Table
from showcases.evaluation.selection import Ranked, rank_test_users
from showcases.evaluation.studies import table_4_rows, table_5_rows
from showcases.evaluation.systems import GROUND_TRUTH
from showcases.metrics.meteor import MeteorScorer
from showcases.metrics.text import Figure
from showcases.storage.artifacts import Place, Workspace, variant_folder
from showcases.storage.claims import hold
from showcases.storage.embeddings import EmbeddingShards

Result = tuple[Table, Picture | None]
SHORT = ("--tables", "--figures", "--seeds")
ORDER = (
    "table_1", "table_2", "table_2_more", "table_2_differences", "table_3", "table_4", "table_5",
    "figure_3", "figure_6a", "figure_6b",
)  # fmt: skip


def reproduce(config: PipelineConfig) -> list[Table]:
    """Run the steps up to GEST's tables, then the studies.

    Returns:
        Tables, including the figures' data, in the order made.

    Raises:
        ShowcasesError: a step or a training failed; the next call resumes there.
    """
    steps, more = STEPS[: STEPS.index(build_gest.STEP) + 1], (*generator_needs(config), *evaluate_needs(config))
    preflight.check_before_ray(config, steps, more)
    config = with_corpus(config)
    workspace = Workspace(config.root)
    names = [FOLDER, *(name for step in steps for name in step.writes)]
    with (
        hold(workspace, names, "jobs.reproduce", print) as claim,
        cluster.connected(config.cluster),
        pipeline_run(config) as parent,
    ):
        preflight.check(config, steps, more)
        for step in steps:
            execute(step, workspace, config, parent, claim)
        with step_run("reproduce", config, {"reproduce": asdict(config.reproduce)}, parent) as tracker:
            study = Study(workspace, config, tracker)
            gallery: list[Showcase] = []
            found = []
            for result in studies(study, gallery):
                save(study, result)
                found.append(result)
            conclude(study, found, gallery)
    return [table for table, _ in found]


def studies(study: Study, gallery: list[Showcase]) -> Iterator[Result]:
    """Yield each requested table and figure as soon as it is ready; fills the gallery with generated texts."""
    options, evaluation = study.config.reproduce, study.config.evaluate
    statistics = study.workspace.require("gest_s1").metrics
    if 1 in options.tables:
        yield results.table_1(statistics), None
    if 3 in options.figures:
        yield figure_3(statistics)
    plan = texts_plan(study.config.train_generator, options)
    if not plan and 3 not in options.tables:
        return
    ranked = rank(study)
    if 3 in options.tables:
        table = results.table_3(ranked, evaluation.k, evaluation.protocol, evaluation.bootstrap)
        yield study_tables.with_order(table), None
    if plan:
        models = [model for part in plan.values() for model in part]
        places = make(study, models)
        with MeteorScorer() as meteor:
            read = read_all(study, models, places, ranked, meteor)
            gallery += read.gallery
            yield from of_texts(study, plan, places, read)


def rank(study: Study) -> list[Ranked]:
    """The selectors' photos for the test users; without Table 3 only of the selector used for the texts."""
    config, evaluation, options = study.config.train_selector, study.config.evaluate, study.config.reproduce
    every = 3 in options.tables
    wanted = [
        Wanted((variant, seed), train_selector.FAMILY, config, variant, seed, variant_folder(variant, seed))
        for seed in (options.seeds if every else options.seeds[:1])
        for variant in (config.variants if every else config.variants[:1])
    ]
    places = make(study, wanted)
    found: list[Ranked] = ray.get(
        ray.remote(num_cpus=1)(rank_test_users).remote(
            study.workspace.root,
            {model.system: places[model.name] for model in wanted},
            evaluation.k,
            evaluation.protocol,
            (),
        )
    )
    return found


def of_texts(
    study: Study, plan: Mapping[str, Sequence[Wanted]], places: Mapping[str, Place], read: Read
) -> Iterator[Result]:
    """The planned ones of Tables 2, 4 and 5 and Figure 6."""
    config, evaluation = study.config.train_generator, study.config.evaluate
    for table in table_2(plan, places, read, study, evaluation) if "table_2" in plan else ():
        yield table, None
    kinds = {"table_4": (table_4_rows, study_tables.table_4), "table_5": (table_5_rows, study_tables.table_5)}
    for name in (name for name in kinds if name in plan):
        rows_of, table_of = kinds[name]
        measured: dict[str, list[Mapping[str, Figure]]] = {}
        for model in plan[name]:
            measured.setdefault(model.system[0], []).append(read.figures[model.name])
        yield table_of(rows_of(config), measured), None
    if "figure_6" in plan:
        texts: dict[str, list[list[str]]] = {GROUND_TRUTH: [read.texts[GROUND_TRUTH]]}
        for model in plan["figure_6"]:
            texts.setdefault(model.system[0], []).append(read.texts[model.name])
        yield figure_6a(texts)
        yield figure_6b(texts, read.by.keywords)


def table_2(
    plan: Mapping[str, Sequence[Wanted]], places: Mapping[str, Place], read: Read, study: Study, config: EvaluateConfig
) -> Iterator[Table]:
    """Table 2 with baselines, additional metrics, and ours against each other model of the first seed."""
    models = plan["table_2"]
    systems = {model.system: read.figures[model.name] for model in models}
    systems[GROUND_TRUTH, 0] = read.figures[GROUND_TRUTH]
    table = results.table_2(systems, config.protocol)
    notes = baseline_notes(study.workspace, {model.system[0]: places[model.name] for model in models})
    yield study_tables.with_order(replace(table, notes=(*notes, *table.notes)))
    yield results.table_2_more(systems)
    first = study.config.reproduce.seeds[0]
    ours = {OURS: systems[OURS, first]}
    others = {name: figures for (name, seed), figures in systems.items() if seed == first and name not in ours}
    compared = differences(
        {(name, first): figures for name, figures in (ours | others).items() if name != GROUND_TRUTH},
        config.bootstrap,
        study.config.seed,
        only=OURS,
    )
    if compared:
        yield compared


def baseline_notes(workspace: Workspace, places: Mapping[str, Place]) -> tuple[str, ...]:
    """Notes on model sizes and the baselines."""
    counts: dict[str, int] = {}
    for name, place in places.items():
        found = json.loads(workspace.read_bytes(*place, METRICS_FILE))["metrics"].get("parameters")
        if found:  # absent for models of older releases
            counts[name] = int(found)
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (
        f"Parameters: {sizes}.",
        "All were trained on the same examples with the same loop, tokenizer and budget. Ref2Seq's references (the "
        "business' reviews) are from the training split. The split is by user: PETER, which identifies users by id, "
        "sees no test user in training and treats each as unknown.",
    )


def save(study: Study, result: Result) -> None:
    """Save a result to the workspace and MLflow, and print it."""
    table, picture = result
    text = f"{table.to_markdown()}\n{table.side_by_side()}"
    write(study, {f"{table.name}.md": text.encode(), f"{table.name}.csv": table.to_csv().encode()})
    if picture:
        write(study, {f"{picture.name}.png": picture.png})
    print("\n" + text, flush=True)


def conclude(study: Study, found: Sequence[Result], gallery: Sequence[Showcase]) -> None:
    """Print a line per table, and write one page with all results and a gallery."""
    found = sorted(found, key=lambda result: ORDER.index(result[0].name))
    protocol = study.config.evaluate.protocol
    pretrained = study.config.train_generator.model.pretrained is not None
    lines = study_tables.verdicts([table for table, _ in found], protocol, pretrained)
    report = Report(
        title="Personalized Showcases: the paper's tables and figures reproduced",
        encoder=EmbeddingShards(study.workspace, "image_embeddings").model_id,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        summary=lines,
        tables=[table for table, _ in found],
        pictures=[picture for _, picture in found if picture],
        labels=labels_of(study.workspace),
        left_out=left_out(study.workspace),
        showcases=gallery,
    )
    write(study, {"report.html": report.to_html().encode(), "report.md": report.to_markdown().encode()})
    print("\n" + "\n".join(f"- {line}" for line in lines), flush=True)


def write(study: Study, files: Mapping[str, bytes]) -> None:
    """Save files to the workspace and MLflow."""
    for name, data in files.items():
        study.workspace.write_bytes(data, FOLDER, name)
    study.tracker.log_files(files, "reproduce")


def with_flags(argv: Sequence[str]) -> list[str]:
    """Expand the short forms `--tables 2,4`, `--figures 3` and `--seeds 0,1`."""
    result: list[str] = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        short = name.removeprefix("--") if name in SHORT else None
        listed = result and result[-1].removeprefix("--reproduce.") in ("tables", "figures", "seeds")
        if short:
            result += [f"--reproduce.{short}", *([f"[{value}]"] if equals else [])]
        else:
            result.append(f"[{argument}]" if listed and not argument.startswith("[") else argument)
    given = [name for name in ("--reproduce.tables", "--reproduce.figures") if name in result]
    if len(given) == 1:  # don't use the default of the other kind
        [other] = {"--reproduce.tables", "--reproduce.figures"} - set(given)
        result += [other, "[]"]
    return result


def main(argv: Sequence[str] | None = None) -> None:
    config = parse(with_flags(sys.argv[1:] if argv is None else argv), prog="python -m jobs.reproduce")
    started = time.perf_counter()
    with exit_on_error():
        reproduce(config)
    page = Workspace(config.root).path(FOLDER, "report.html")
    print(f"\n{page}: all results on one page, in {(time.perf_counter() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
