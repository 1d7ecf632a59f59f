"""evaluate: one report with Tables 1 to 3, the theta curve, skipped data, and a gallery of test users' showcases."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from jobs.evaluating.generate import write_texts
from jobs.evaluating.quality_gate import generator_scores, log_scores, selector_scores
from jobs.evaluating.report_parts import labels_of, left_out, make_gallery
from jobs.evaluating.scorers import make_scorers
from jobs.runner.execute import main
from jobs.runner.needs import evaluate_needs
from jobs.runner.step import Step, StepContext
from jobs.tracking import tracker as tracking
from jobs.training.ray_train import METRICS_FILE
from showcases.distillation import PairClassifier
from showcases.evaluation.differences import differences
from showcases.evaluation.examples import Example, draw_examples, with_own_photos
from showcases.evaluation.report import results
from showcases.evaluation.report.dial import theta_picture, theta_table
from showcases.evaluation.report.drawing import Picture
from showcases.evaluation.report.figures import figure_3, figure_6a, figure_6b
from showcases.evaluation.report.gallery import Showcase
from showcases.evaluation.report.page import Report
from showcases.evaluation.report.tables import Table
from showcases.evaluation.selection import Ranked, rank_test_users
from showcases.evaluation.systems import (
    System,
    Written,
    Yardsticks,
    first_seeds,
    measure,
)
from showcases.metrics.meteor import MeteorScorer
from showcases.metrics.text import Figure
from showcases.storage.artifacts import Place, Workspace, variant_folder
from showcases.storage.embeddings import EmbeddingTable


def evaluate(context: StepContext) -> None:
    workspace, config = context.workspace, context.config.evaluate
    selectors = models_of(workspace, "selector", "train_selector")
    ranked = ray.get(
        ray.remote(num_cpus=1)(rank_test_users).remote(
            workspace.root, selectors, config.k, config.protocol, config.thetas
        )
    )
    served = next(entry for entry in ranked if (entry.name, entry.seed) in selectors)
    rows = workspace.read_table("gest_s2").to_pylist()
    examples = draw_examples(rows, served.chosen, config.max_examples, context.config.seed)
    context.say(f"chose photos for {served.figures.examples} test examples; writing texts for {len(examples)} of them")
    images = EmbeddingTable.read(workspace, "image_embeddings")
    classifier = workspace.load(PairClassifier.from_pretrained, "classifier")
    with MeteorScorer() as meteor:  # starts Java early: it loads while texts are generated
        generators = models_of(workspace, "generator", "train_generator")
        most_reviews = generator_options(workspace)["max_reviews"]
        written = write_texts(context, examples, images, generators, most_reviews)
        by = make_scorers(context, classifier, meteor, [row["explanation"] for row in rows])
        systems = measure(examples, written, images, by)
        tables = all_tables(context, ranked, systems)
        tables += with_and_without_photos(context, examples, images, written, by, systems)
    drawn = figures(context, written, by)
    tables += [table for table, _ in drawn]
    gallery = make_gallery(context, examples, served, first_seeds(written), images, classifier)
    pictures = [picture for picture in (theta_picture(ranked, config.k), *(each for _, each in drawn)) if picture]
    write_report(context, tables, gallery, pictures, images.model_id)
    log_scores(context, "selector", selector_scores(context, ranked))
    log_scores(context, "generator", generator_scores(context, examples, systems))
    record(context, tables, len(examples))


def models_of(workspace: Workspace, artifact: str, section: str) -> dict[System, Place]:
    """Folder of each (variant, seed) of an artifact, in config order; the first is served."""
    options = workspace.require(artifact).config[section]
    systems = [(name, int(seed)) for name in options["variants"] for seed in options["seeds"]]
    return {system: (artifact, variant_folder(*system)) for system in systems}


def generator_options(workspace: Workspace) -> dict[str, Any]:
    """GeneratorConfig of the workspace's generators, as a plain dict."""
    options: dict[str, Any] = workspace.require("generator").config["train_generator"]["model"]
    return options


def with_and_without_photos(
    context: StepContext,
    examples: Sequence[Example],
    images: EmbeddingTable,
    written: Mapping[System, Written],
    by: Yardsticks,
    systems: Mapping[System, Mapping[str, Figure]],
) -> list[Table]:
    """Generators with and without photos: photos of the selector, then of the user's own review."""
    pair = results.photo_pair(variant for variant, _ in systems)
    if pair is None:
        return []
    with_photos, without = pair
    options = generator_options(context.workspace)
    own = with_own_photos(examples, options["max_images"])
    models = models_of(context.workspace, "generator", "train_generator")
    seeing = {system: place for system, place in models.items() if system[0] == with_photos}
    again = write_texts(context, own, images, seeing, options["max_reviews"])
    unseen = {system: texts for system, texts in written.items() if system[0] == without}
    on_own = measure(own, {**again, **unseen}, images, by)
    return [
        results.photos_against_none(systems, "photos_or_not", "photos that the selector chose"),
        results.photos_against_none(on_own, "photos_or_not_own", "photos of the user's own review"),
    ]


def all_tables(
    context: StepContext, ranked: Sequence[Ranked], systems: Mapping[System, Mapping[str, Figure]]
) -> list[Table]:
    config = context.config.evaluate
    compared = differences(systems, config.bootstrap, context.config.seed)
    return [
        results.table_3(ranked, config.k, config.protocol, config.bootstrap),
        *([theta_table(ranked, config.k, config.protocol)] if config.thetas else []),
        results.table_2(systems, config.protocol),
        results.table_2_more(systems),
        *([compared] if compared else []),
        results.table_1(context.workspace.require("gest_s1").metrics),
    ]


def figures(context: StepContext, written: Mapping[System, Written], by: Yardsticks) -> list[tuple[Table, Picture]]:
    """Figure 3 for the datasets, Figure 6 for all variants and seeds."""
    texts: dict[str, list[list[str]]] = {}
    for (variant, _), found in written.items():
        texts.setdefault(variant, []).append(found.texts)
    diversities = context.workspace.require("gest_s1").metrics
    return [figure_3(diversities), figure_6a(texts), figure_6b(texts, by.keywords)]


def write_report(
    context: StepContext, tables: list[Table], gallery: list[Showcase], pictures: list[Picture], encoder: str
) -> None:
    workspace = context.workspace
    report = Report(
        title="Personalized Showcases: report",
        encoder=encoder,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tables=tables,
        labels=labels_of(workspace),
        left_out=left_out(workspace),
        showcases=gallery,
        pictures=pictures,
    )
    files = report.files()
    for path, data in files.items():
        workspace.write_bytes(data, "report", *path.split("/"))
    context.tracker.log_files(files, "report")
    log_gallery(context, {name: files[name] for name in ("report.html", "gallery.json")})
    for table in tables:
        print("\n" + table.to_markdown(), flush=True)
    context.say(f"report: {context.place_of('report', 'report.html')}")


def log_gallery(context: StepContext, files: Mapping[str, bytes]) -> None:
    """Log the report page and gallery with each registered generator that was evaluated.

    Args:
        files: of the report.
    """
    generators = models_of(context.workspace, "generator", "train_generator")
    for place in generators.values():
        metrics = json.loads(context.workspace.read_bytes(*place, METRICS_FILE))
        version = tracking.log_to_version(
            context.tracker, "showcases-generator", metrics["fingerprint"], files, "gallery"
        )
        if version is not None:
            context.say(f"gallery logged with showcases-generator version {version}")


def record(context: StepContext, tables: Sequence[Table], examples: int) -> None:
    """Record the tables' values for the manifest and MLflow."""
    metrics = {
        f"{table.name}.{row.name.replace('+', '_').replace(', ', '-').replace(' ', '')}.{column.name}": mean
        for table in tables
        if table.name in ("table_2", "table_2_more", "table_3", "photos_or_not", "photos_or_not_own")
        for row in table.rows
        for column in table.columns
        if (mean := row.value(column.name)[0]) is not None
    }
    context.record("report", {"examples": examples}, metrics=metrics)


STEP = Step(
    name="evaluate",
    reads=(
        "reviews",
        "images",
        "clip",
        "image_embeddings",
        "sentence_embeddings",
        "annotations",
        "classifier",
        "gest_s1",
        "gest_s2",
        "photos",
        "selector",
        "generator",
    ),
    writes=("report",),
    sections=("seed", "evaluate"),
    run=evaluate,
    needs=evaluate_needs,
)

if __name__ == "__main__":
    main(STEP)
