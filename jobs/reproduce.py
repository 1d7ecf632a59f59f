"""The paper's studies again: trains what is missing, reuses what stands, prints ours beside the paper's.

    python -m jobs.reproduce --config FILE --root URI [--tables 2,3,4,5] [--seeds 0,1,2]

It may be cut off anywhere: started again it goes on, from the last checkpoint of the model it was training. Tables lie
in _reproduce/ under the workspace root.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import ray

from jobs import baselines, build_gest, cluster, train_generator, train_selector
from jobs.config import PipelineConfig, parse
from jobs.corpus import with_corpus
from jobs.pipeline import STEPS
from jobs.step import Step, StepContext, execute, exit_on_error
from jobs.tracking import Tracker, pipeline_run, step_run
from jobs.training import METRICS_FILE, finished_model, trainings_at_once
from jobs.variants import Family, model_fingerprint, train_model
from jobs.writing import write_texts
from showcases.artifacts import Place, Workspace, variant_folder
from showcases.baselines import NAMES
from showcases.baselines.ids import ItemReviews
from showcases.distillation import PairClassifier
from showcases.embeddings import EmbeddingTable
from showcases.evaluation import results, study_tables
from showcases.evaluation.examples import Example, draw_examples
from showcases.evaluation.meteor import MeteorScorer
from showcases.evaluation.selection import Ranked, rank_test_users
from showcases.evaluation.studies import StudyRow, table_4_rows, table_5_rows
from showcases.evaluation.systems import System, Yardsticks, measure
from showcases.evaluation.tables import Table
from showcases.evaluation.text_metrics import Figure
from showcases.generator.config import Inputs, TrainGeneratorConfig

FOLDER = "_reproduce"  # under the workspace root; no step reads it


@dataclass(frozen=True)
class Study:
    """What all tables of a run share."""

    workspace: Workspace
    config: PipelineConfig
    tracker: Tracker

    def context(self, step: Step, config: PipelineConfig | None = None) -> StepContext:
        """As if `step` ran, so that models have the fingerprints that it would give them."""
        config = config or self.config
        inputs = {name: self.workspace.require(name).digest for name in step.reads} | step.inputs(config)
        return StepContext(self.workspace, config, self.tracker, step.used(config), inputs)

    def fingerprint(self, step: Step, family: Family, model: "Wanted") -> str:
        context = self.context(step, replace(self.config, **{step.name: model.config}))
        return model_fingerprint(context, family, model.config, model.variant, model.seed)


@dataclass(frozen=True)
class Wanted:
    """A model of a study.

    Attributes:
        system: name and seed in its table.
        config: of its step, of which `variant` and `seed` are trained.
        folder: of ours that it goes to, where the flow has not made it.
    """

    system: System
    config: Any
    variant: str
    seed: int
    folder: str


def make(study: Study, step: Step, family: Family, wanted: Sequence[Wanted]) -> dict[System, Place]:
    """Where each model stands: in the flow's artifact if the same one is there, else in ours, trained if need be.

    As many are trained side by side as the cluster has room for.
    """
    places: dict[System, Place] = {}
    missing = []
    for model in wanted:
        served = (family.artifact, variant_folder(model.variant, model.seed))
        own = (FOLDER, f"{family.artifact}-{model.folder}")
        fingerprint = study.fingerprint(step, family, model)
        found = [place for place in (served, own) if finished_model(study.workspace, fingerprint, *place) is not None]
        places[model.system] = found[0] if found else own
        if not found:
            missing.append(model)
    print(f"  {family.artifact}s: {len(wanted) - len(missing)} stand, {len(missing)} to train", flush=True)
    train_all(study, step, family, missing)
    return places


def train_all(study: Study, step: Step, family: Family, missing: Sequence[Wanted]) -> None:
    """Train models, as many side by side as the cluster has room for."""
    if not missing:
        return
    at_once = trainings_at_once(study.config.cluster, ray.cluster_resources())
    waiting = list(missing)
    running: dict[Any, Wanted] = {}
    started = time.perf_counter()
    while waiting or running:
        while waiting and len(running) < at_once:
            model = waiting.pop(0)
            running[train_apart.remote(study, step, family, model)] = model
        [done], _ = ray.wait(list(running), num_returns=1)
        ended = running.pop(done)
        try:
            figure = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        minutes, left = (time.perf_counter() - started) / 60, len(waiting) + len(running)
        print(f"  {ended.folder}: {family.told(figure)} ({minutes:.0f} min, {left} to go)", flush=True)


@ray.remote(num_cpus=0, max_retries=0)
def train_apart(study: Study, step: Step, family: Family, model: Wanted) -> float:
    """Train one model from a process of its own; what it is judged by."""
    context = study.context(step, replace(study.config, **{step.name: model.config}))
    place = (FOLDER, f"{family.artifact}-{model.folder}")
    metrics = train_model(context, family, model.config, model.variant, model.seed, *place)
    return metrics[f"best_{family.monitor}"]


def reproduce(config: PipelineConfig) -> list[Table]:
    """Run the steps up to GEST's tables, then the studies.

    Raises:
        ShowcasesError: a step or a training failed; what is finished stays, the next call goes on from there.
    """
    config = with_corpus(config)
    workspace = Workspace(config.root)
    with cluster.connected(config.cluster), pipeline_run(config) as parent:
        for step in STEPS[: STEPS.index(build_gest.STEP) + 1]:
            execute(step, workspace, config, parent)
        with step_run("reproduce", config, {"reproduce": asdict(config.reproduce)}, parent) as tracker:
            return _tables(Study(workspace, config, tracker))


def _tables(study: Study) -> list[Table]:
    options = study.config.reproduce
    selectors = train_selectors(study, options.seeds if 3 in options.tables else options.seeds[:1])
    evaluation = study.config.evaluate
    ranked = ray.get(
        ray.remote(num_cpus=1)(rank_test_users).remote(
            study.workspace.root, selectors, evaluation.k, evaluation.protocol, ()
        )
    )
    tables = []
    if 2 in options.tables:
        tables.append(_keep(study, compare_baselines(study, ranked)))
    if 3 in options.tables:
        table = results.table_3(ranked, evaluation.k, evaluation.protocol, evaluation.bootstrap)
        tables.append(_keep(study, study_tables.with_order(table)))
    kinds = {4: (table_4_rows, study_tables.table_4), 5: (table_5_rows, study_tables.table_5)}
    for number in sorted(set(options.tables) & set(kinds)):
        rows_of, table_of = kinds[number]
        rows = rows_of(study.config.train_generator)
        tables.append(_keep(study, table_of(rows, measure_rows(study, rows, ranked))))
    return tables


def train_selectors(study: Study, seeds: Sequence[int]) -> dict[System, Place]:
    """Table 3's rows; where it is not asked for, only the one that chooses photos for the texts."""
    config = study.config.train_selector
    variants = config.variants if 3 in study.config.reproduce.tables else config.variants[:1]
    wanted = [
        Wanted((variant, seed), config, variant, seed, variant_folder(variant, seed))
        for seed in seeds
        for variant in variants
    ]
    return make(study, train_selector.STEP, train_selector.FAMILY, wanted)


def measure_rows(study: Study, rows: Sequence[StudyRow], ranked: Sequence[Ranked]) -> study_tables.Measured:
    """Every row's figures on the same test examples, by seed; photos are those of the first selector."""
    wanted = [
        Wanted((row.name, seed), row.config, row.inputs, seed, f"{row.folder}-seed{seed}")
        for seed in study.config.reproduce.seeds
        for row in rows
    ]
    models = make(study, train_generator.STEP, train_generator.FAMILY, wanted)
    figures = measure_models(study, models, ranked)
    return {row.name: [figures[row.name, seed] for seed in study.config.reproduce.seeds] for row in rows}


def compare_baselines(study: Study, ranked: Sequence[Ranked]) -> Table:
    """Table 2 with the baselines: ours are the flow's own variants, the text-only one is Table 5's."""
    config, seeds = study.config.train_generator, study.config.reproduce.seeds
    seeing: tuple[Inputs, ...] = ("img", "img+text")
    ours = [Wanted((v, seed), config, v, seed, own_folder(config, v, seed)) for seed in seeds for v in seeing]
    ours += [
        Wanted((row.name, seed), row.config, row.inputs, seed, f"{row.folder}-seed{seed}")
        for seed in seeds
        for row in table_5_rows(config)
        if row.inputs == "text"
    ]
    plain = baselines.of_baseline(config)
    others = [Wanted((name, seed), plain, name, seed, f"{name}-seed{seed}") for seed in seeds for name in NAMES]
    models = make(study, train_generator.STEP, train_generator.FAMILY, ours)
    models |= make(study, train_generator.STEP, baselines.FAMILY, others)
    gest = study.workspace.read_table("gest_s2", ("review_id", "user_id", "business_id", "split"))
    training = ItemReviews.of(gest.filter(pc.field("split") == "train"))
    table = results.table_2(measure_models(study, models, ranked, training), study.config.evaluate.protocol)
    return replace(table, notes=(*baseline_notes(study.workspace, models), *table.notes))


def own_folder(config: TrainGeneratorConfig, inputs: Inputs, seed: int) -> str:
    """Of the flow's own generator: that of a row of Table 4 or 5, where one is the same, so that it is trained once."""
    rows = (*table_4_rows(config), *table_5_rows(config))
    same = next((row for row in rows if row.inputs == inputs and row.config == config), None)
    return f"{same.folder}-seed{seed}" if same else variant_folder(inputs, seed)


def baseline_notes(workspace: Workspace, models: Mapping[System, Place]) -> tuple[str, ...]:
    """How large each model is, and what a reader must know of the baselines."""
    counts: dict[str, int] = {}
    for (name, _), place in models.items():
        found = json.loads(workspace.read_bytes(*place, METRICS_FILE))["metrics"].get("parameters")
        if found:  # a generator that was trained before they were counted has none
            counts.setdefault(name, int(found))
    sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (
        f"Parameters: {sizes}.",
        "All were trained on the same examples by the same loop, with the same tokenizer and budget. References of "
        "Ref2Seq, the business' reviews, are the training split's. The split is by user: PETER, which knows users by "
        "id, meets none of the test users in training and takes each for the unknown user.",
    )


def measure_models(
    study: Study, models: Mapping[System, Place], ranked: Sequence[Ranked], others: ItemReviews | None = None
) -> dict[System, dict[str, Figure]]:
    """All figures of what models write for the same test examples; `others` is for baselines (`write_texts`)."""
    examples = _examples(study, ranked)
    images = EmbeddingTable.read(study.workspace, "image_embeddings")
    with tempfile.TemporaryDirectory() as folder:
        classifier = PairClassifier.from_pretrained(study.workspace.download("classifier", Path(folder)))
    context = study.context(train_generator.STEP)
    context.say(f"writing texts for {len(examples)} test examples with {len(models)} models")
    with MeteorScorer() as meteor:
        most_reviews = study.config.train_generator.model.max_reviews
        written = write_texts(context, examples, images, models, most_reviews, others)
        by = Yardsticks(classifier, meteor, draws=study.config.evaluate.bootstrap, seed=study.config.seed)
        return measure(examples, written, images, by)


def _examples(study: Study, ranked: Sequence[Ranked]) -> list[Example]:
    chosen = next(entry.chosen for entry in ranked if entry.chosen)
    rows = study.workspace.read_table("gest_s2").to_pylist()
    return draw_examples(rows, chosen, study.config.evaluate.max_examples, study.config.seed)


def _keep(study: Study, table: Table) -> Table:
    """Into the workspace, into MLflow, and on the screen."""
    files = {f"{table.name}.md": table.to_markdown(), f"{table.name}.csv": table.to_csv()}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            study.workspace.write_bytes(text.encode(), FOLDER, name)
            (Path(folder) / name).write_text(text)
        study.tracker.log_folder(Path(folder), "reproduce")
    print("\n" + table.to_markdown(), flush=True)
    return table


def with_flags(argv: Sequence[str]) -> list[str]:
    """`--tables 2,4` and `--seeds 0,1` as the options that they stand for."""
    result: list[str] = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        short = name.removeprefix("--") if name in ("--tables", "--seeds") else None
        listed = result and result[-1] in ("--reproduce.tables", "--reproduce.seeds")
        if short:
            result += [f"--reproduce.{short}", *([f"[{value}]"] if equals else [])]
        else:
            result.append(f"[{argument}]" if listed and not argument.startswith("[") else argument)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    config = parse(with_flags(sys.argv[1:] if argv is None else argv), prog="python -m jobs.reproduce")
    started = time.perf_counter()
    with exit_on_error():
        reproduce(config)
    print(f"{Workspace(config.root).path(FOLDER)}: tables, in {(time.perf_counter() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
