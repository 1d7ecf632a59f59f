"""The first half of jobs.human_study: photos that the served selector chose, texts of the models, Label Studio tasks.

Nothing is written into the workspace.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pyarrow.compute as pc

from jobs.evaluate import models_of
from jobs.evaluating.generate import generate, generator_input
from jobs.runner import cluster
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.step import StepContext
from jobs.studies.human_files import DEFAULT_MODELS, places_of, write
from jobs.studies.models import FOLDER
from jobs.tracking.tracker import Tracker
from jobs.training.ray_train import METRICS_FILE
from showcases.baselines.ids import ItemReviews
from showcases.errors import ConfigError, StudyError
from showcases.evaluation.examples import Example, draw_examples
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.plan import plan
from showcases.evaluation.human.tasks import FOR_JUDGES, task_files
from showcases.evaluation.human.texts import Texts, read_texts, subjects_of, to_lines
from showcases.evaluation.selection import rank_test_users
from showcases.evaluation.systems import System
from showcases.gest.photos.images import read_photos
from showcases.storage.artifacts import Place, Workspace, variant_folder
from showcases.storage.embeddings import EmbeddingTable


def export(options: argparse.Namespace, argv: Sequence[str]) -> None:
    """Draw examples, generate texts, assign them to judges, and write everything to `options.out`.

    Raises:
        ShowcasesError: the workspace lacks artifacts, or the options don't match it.
    """
    config = parse(argv, prog="python -m jobs.human_study export")
    wanted = {name: getattr(options, name) for name in asdict(StudyConfig()) if name != "seed"}
    study_config = StudyConfig(**wanted, seed=config.seed)
    places = places_of(options.models or ("" if options.texts else DEFAULT_MODELS))
    workspace = Workspace(config.root)
    given = read_texts(options.texts) if options.texts else {}
    require_models(workspace, places)
    examples = examples_of(workspace, config, study_config, given)
    texts = given | (own_texts(config, workspace, examples, places) if places else {})
    models = [*(name for name in given if name not in places), *places]
    photos = read_photos(workspace, {name for example in examples for name in example.shown})
    subjects = subjects_of(examples, models, texts, photos)
    made_of = {
        "root": workspace.root,
        "models": {name: "/".join(place) for name, place in places.items()},
        "texts": str(options.texts or ""),
        "options": asdict(study_config),
    }
    study = plan(subjects, models, study_config, made_of)
    write(options.out / FOR_JUDGES, task_files(study, photos, study_config.photo_side))
    write(options.out, {"key.json": study.to_json(), "texts.jsonl": to_lines({name: texts[name] for name in models})})
    same = sum(len(set(subject.texts.values())) < len(models) for subject in subjects)
    print(f"{len(subjects)} of {study_config.count} requested test examples; {len(examples) - len(subjects)} skipped")
    print(f"  for {same} of them two models wrote the same text, which is still rated twice")
    for judge in range(1, study.judges + 1):
        kinds = [item.kind == "text" for item in study.of_judge(judge)]
        print(f"  judge {judge}: {sum(kinds)} texts, {len(kinds) - sum(kinds)} checks")
    print(f"{options.out / FOR_JUDGES}: a Label Studio project for each judge; keep {options.out / 'key.json'} secret")


def require_models(workspace: Workspace, places: Mapping[str, Place]) -> dict[str, str]:
    """The kind of each model, by its config.

    Raises:
        ConfigError: a folder contains no model.
    """
    kinds = {}
    for name, place in places.items():
        config = workspace.find_json(*place, "config.json")
        if config is None:
            raise ConfigError(
                f"--models {name}={'/'.join(place)}: no model there; jobs.reproduce --tables 2 trains the baselines, "
                "jobs.train_generator ours"
            )
        kinds[name] = str(config["kind"])
    return kinds


def selector_of(workspace: Workspace, config: PipelineConfig) -> dict[System, Place]:
    """The served selector, else the one that jobs.reproduce used for the texts.

    Raises:
        ArtifactError: neither exists.
    """
    system = (config.train_selector.variants[0], config.reproduce.seeds[0])
    place = (FOLDER, f"selector-{variant_folder(*system)}")
    if workspace.manifest("selector") is None and workspace.find_json(*place, METRICS_FILE) is not None:
        return {system: place}
    return dict(list(models_of(workspace, "selector", "train_selector").items())[:1])


def examples_of(workspace: Workspace, config: PipelineConfig, study: StudyConfig, given: Texts) -> list[Example]:
    """Random test examples that the given texts cover, with photos of `selector_of`."""
    ranked = rank_test_users(
        workspace.root, selector_of(workspace, config), config.evaluate.k, config.evaluate.protocol, ()
    )
    chosen = next(entry.chosen for entry in ranked if entry.chosen)
    rows = workspace.read_table("gest_s2").to_pylist()
    if given:
        known = set.intersection(*(set(texts) for texts in given.values()))
        rows = [row for row in rows if row["review_id"] in known]
        if not rows:
            raise StudyError("--texts: no review of this workspace has a text of every model in the file")
    return draw_examples(rows, chosen, study.count, config.seed)


def own_texts(
    config: PipelineConfig, workspace: Workspace, examples: Sequence[Example], places: Mapping[str, Place]
) -> Texts:
    """Texts of the workspace's models for the examples."""
    others = None
    if "showcases.baseline" in require_models(workspace, places).values():
        gest = workspace.read_table("gest_s2", ("review_id", "user_id", "business_id", "split"))
        others = ItemReviews.of(gest.filter(pc.field("split") == "train"))
    context = StepContext(workspace, config, Tracker("", ""), {}, {})  # no tracking
    context.say(f"writing texts for {len(examples)} test examples with {len(places)} models")
    images = EmbeddingTable.read(workspace, "image_embeddings")
    systems = {(name, 0): place for name, place in places.items()}
    with cluster.connected(config.cluster):
        most = config.train_generator.model.max_reviews
        rows = generator_input(context, examples, images, most, others)
        written = generate(context, rows, systems)
    ids = [example.review_id for example in examples]
    return {name: dict(zip(ids, written[name, 0], strict=True)) for name in places}
