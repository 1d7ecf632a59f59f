"""evaluate: Tables 1, 2 and 3, the dial's curve, what was left out, a gallery of test users' showcases: one report."""

import datetime
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch

from jobs.step import Step, StepContext, main
from jobs.writing import write_texts
from showcases.artifacts import FLOW, Place, Workspace, variant_folder
from showcases.distillation import PairClassifier
from showcases.embeddings import EmbeddingTable
from showcases.evaluation import results
from showcases.evaluation.bert_score import BertScorer
from showcases.evaluation.coverage import ContentWords, TaggedWords
from showcases.evaluation.dial import theta_picture, theta_table
from showcases.evaluation.differences import differences
from showcases.evaluation.examples import Example, draw_examples, with_own_photos
from showcases.evaluation.gallery import Showcase, make_showcase, pick_users, with_photos
from showcases.evaluation.meteor import MeteorScorer
from showcases.evaluation.pictures import Picture
from showcases.evaluation.report import Labels, Report
from showcases.evaluation.selection import Ranked, rank_test_users
from showcases.evaluation.systems import (
    System,
    Written,
    Yardsticks,
    first_seeds,
    measure,
)
from showcases.evaluation.tables import Table
from showcases.evaluation.text_metrics import Figure
from showcases.gest.images import read_photos


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
    with tempfile.TemporaryDirectory() as folder:
        classifier = PairClassifier.from_pretrained(workspace.download("classifier", Path(folder)))
    with MeteorScorer() as meteor:  # Java reads its paraphrases while the texts are written
        generators = models_of(workspace, "generator", "train_generator")
        most_reviews = generator_options(workspace)["max_reviews"]
        written = write_texts(context, examples, images, generators, most_reviews)
        by = yardsticks(context, classifier, meteor, [row["explanation"] for row in rows])
        systems = measure(examples, written, images, by)
        tables = all_tables(context, ranked, systems)
        tables += with_and_without_photos(context, examples, images, written, by, systems)
    gallery = make_gallery(context, examples, served, written, images, classifier)
    picture = theta_picture(ranked, config.k)
    write_report(context, tables, gallery, [picture] if picture else [], images.model_id)
    record(context, tables, len(examples))


def yardsticks(
    context: StepContext, classifier: PairClassifier, meteor: MeteorScorer, explanations: Sequence[str]
) -> Yardsticks:
    """What the config asks for; the corpus' features are mined from all its explanations, as PETER's are."""
    from showcases.generator.lexicon import mine_phrases  # here: spaCy takes seconds to import

    config = context.config.evaluate
    device = "cuda" if context.config.cluster.gpu and torch.cuda.is_available() else "cpu"
    return Yardsticks(
        classifier,
        meteor,
        features=mine_phrases(explanations),
        keywords=TaggedWords(config.spacy_model) if config.spacy_model else ContentWords(),
        bert=BertScorer(config.bertscore_model, config.bertscore_layer, device) if config.bertscore_model else None,
        draws=config.bootstrap,
        seed=context.config.seed,
    )


def models_of(workspace: Workspace, artifact: str, section: str) -> dict[System, Place]:
    """Where each (variant, seed) of an artifact lies, in the order of its config: the first one is served."""
    options = workspace.require(artifact).config[section]
    systems = [(name, int(seed)) for name in options["variants"] for seed in options["seeds"]]
    return {system: (artifact, variant_folder(*system)) for system in systems}


def generator_options(workspace: Workspace) -> dict[str, Any]:
    """GeneratorConfig of the workspace's generators, plain."""
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
    """What photos are worth to the generator: those chosen, then the user's own, where the selector plays no part."""
    pair = results.photo_pair(variant for variant, _ in systems)
    if pair is None:
        return []
    with_photos, without = pair
    options = generator_options(context.workspace)
    own = with_own_photos(examples, options["max_images"])
    models = models_of(context.workspace, "generator", "train_generator")
    seeing = {system: place for system, place in models.items() if system[0] == with_photos}
    again = write_texts(context, own, images, seeing, options["max_reviews"])
    unseen = {system: said for system, said in written.items() if system[0] == without}
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


def make_gallery(
    context: StepContext,
    examples: Sequence[Example],
    served: Ranked,
    written: Mapping[System, Written],
    images: EmbeddingTable,
    classifier: PairClassifier,
) -> list[Showcase]:
    """Entries for some test users, with their photos; texts are those of each variant's first seed."""
    workspace = context.workspace
    first = first_seeds(written)
    reviews = workspace.read_table("reviews", ["review_id", "text"])
    past = dict(zip(reviews["review_id"].to_pylist(), reviews["text"].to_pylist(), strict=True))
    entries = []
    for number in pick_users(examples, context.config.evaluate.gallery, context.config.seed):
        example = examples[number]
        texts = {name: (said.sentences[number], said.vectors[number]) for name, said in first.items()}
        liked = served.liked_more[example.review_id]
        entries.append(make_showcase(example, texts, liked, past, images, classifier.score_all))
    bytes_of = read_photos(
        workspace, {photo.photo_id for entry in entries for photo in (*entry.photos, *entry.own_photos)}
    )
    return [with_photos(entry, bytes_of.get) for entry in entries]


def write_report(
    context: StepContext, tables: list[Table], gallery: list[Showcase], pictures: list[Picture], encoder: str
) -> None:
    workspace = context.workspace
    manifests = [workspace.manifest(artifact.name) for artifact in FLOW]
    classifier = workspace.require("classifier").metrics
    report = Report(
        title="Personalized Showcases: report",
        encoder=encoder,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tables=tables,
        labels=Labels(
            source=classifier["source"],
            pairs=workspace.require("annotations").rows["pairs"],
            auc=classifier["auc"],
            f1=classifier["f1"],
            threshold=classifier["threshold"],
            test_pairs=int(classifier["n"]),
            agreement=classifier.get("krippendorff_alpha"),
        ),
        left_out={manifest.artifact: manifest.failures for manifest in manifests if manifest is not None},
        showcases=gallery,
        pictures=pictures,
    )
    with tempfile.TemporaryDirectory() as folder:
        for path, data in report.files().items():
            workspace.write_bytes(data, "report", *path.split("/"))
            local = Path(folder) / path
            local.parent.mkdir(exist_ok=True)
            local.write_bytes(data)
        context.tracker.log_folder(Path(folder), "report")
    for table in tables:
        print("\n" + table.to_markdown(), flush=True)
    context.say(f"report: {workspace.path('report', 'report.html')}")


def record(context: StepContext, tables: Sequence[Table], examples: int) -> None:
    """The tables' values into the manifest, and so into MLflow."""
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
)

if __name__ == "__main__":
    main(STEP)
