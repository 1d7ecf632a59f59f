"""annotate: imports human labels of (sentence, photo) pairs, or makes weak labels and labelling tasks.

python -m jobs.annotate export|import|curve   tools around the step, see docs/annotation.md
python -m jobs.annotate                       the step, as jobs.pipeline runs it
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

from jobs.annotation import kit
from jobs.annotation.data import scored, usable, vectors_of, whole_reviews
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.execute import execute
from jobs.runner.execute import main as step_main
from jobs.runner.exits import exit_on_error
from jobs.runner.input_files import check_corpus, digests, label_files
from jobs.runner.step import Step, StepContext
from showcases.distillation.annotations import AnnotationSet, Pairable, ReviewPairs, from_votes, sample_reviews
from showcases.distillation.calibration import fill_up
from showcases.distillation.disagreements import as_csv, rank
from showcases.distillation.labelstudio import read_exports
from showcases.distillation.labelstudio_tasks import LABELLING_CONFIG, make_tasks, write_json
from showcases.distillation.weak import weak_labels
from showcases.errors import CorpusError
from showcases.gest.reading.opening import shown
from showcases.storage.artifacts import Workspace

WEAK_WARNING = (
    "no labels configured: using weak labels from CLIP similarity. The classifier is trained and measured on them, so "
    "its figures say little about human judgement. To collect labels: "
    "python -m jobs.annotate export, or {tasks}; then --labels EXPORT.json"
)


def annotate(context: StepContext) -> None:
    workspace, config = context.workspace, context.config
    reviews = usable(workspace)
    sampled = reviews.pairs(sample_reviews(reviews.rows(), config.annotate.reviews, config.seed))
    write_tasks(context, sampled)
    figures: dict[str, float] = {}
    if files := label_files(config):
        result = from_people(files, reviews, config)
        if result.table.num_rows < config.annotate.weak_below:
            result, figures = fill(context, result, sampled)
    else:
        result = weak_labels(sampled, *vectors_of(workspace, sampled), config.seed)
        context.say(WEAK_WARNING.format(tasks=context.place_of("annotations", "tasks.json")))
    workspace.write_table(result.table, "annotations")
    write_agreement(context, result)
    report(context, result, figures)


def from_people(files: Sequence[str], reviews: Pairable, config: PipelineConfig) -> AnnotationSet:
    """The labels of Label Studio exports for this corpus.

    Raises:
        CorpusError: no label is for this corpus, or a file is not an export.
    """
    labelled, dropped = read_exports(files)
    known = reviews.pairs(reviews.rows({pair.review_id for pair in labelled}))
    result = from_votes(labelled, known, config.seed, dropped, config.annotate.aggregate)
    if not result.table.num_rows:
        names = ", ".join(map(shown, files))
        raise CorpusError(f"{names}: none of the {len(labelled)} labelled pairs is from this corpus: {result.dropped}")
    return result


def fill(
    context: StepContext, people: AnnotationSet, sampled: list[ReviewPairs]
) -> tuple[AnnotationSet, dict[str, float]]:
    """Human labels extended with weak labels of the sampled reviews, and figures for the manifest."""
    known = usable(context.workspace)
    labelled_ids = set(people.table["review_id"].to_pylist())
    vectors = vectors_of(context.workspace, [*sampled, *known.pairs(known.rows(labelled_ids))])
    result, calibration = fill_up(people, sampled, *vectors, context.config.annotate.weak_precision)
    for line in calibration.lines():
        context.say(line)
    return result, calibration.figures()


def write_tasks(context: StepContext, sampled: list[ReviewPairs]) -> None:
    """Write Label Studio tasks and config beside the table; `export` adds the photos."""
    tasks = write_json(make_tasks(sampled, whole_reviews(context.workspace, sampled)))
    context.workspace.write_bytes(tasks, "annotations", "tasks.json")
    context.workspace.write_bytes(LABELLING_CONFIG.encode(), "annotations", "labelling_config.xml")


def write_agreement(context: StepContext, result: AnnotationSet) -> None:
    """Write the annotators' agreement and disagreements beside the table."""
    if result.agreement is None or result.consensus is None:
        return
    consensus = result.consensus
    figures = asdict(result.agreement) | {
        "aggregate": consensus.method,
        "labels_unlike_majority": consensus.changed,
        "ties_settled": consensus.settled,
        "annotators": [asdict(skill) for skill in consensus.skills],
    }
    context.workspace.write_json(figures, "annotations", "agreement.json")
    table = as_csv(rank(scored(context.workspace, result.disputes)))
    context.workspace.write_bytes(table.encode(), "annotations", "disagreements.csv")


def report(context: StepContext, result: AnnotationSet, figures: dict[str, float]) -> None:
    """Print the counts and record them for the manifest."""
    rows = result.rows
    context.say(f"{rows['pairs']} pairs ({result.source} labels), {rows['matching']} of them matching")
    metrics = {"source": result.source, **figures}
    if result.agreement is not None and result.consensus is not None:
        lines = [*result.agreement.lines(), *result.consensus.lines()]
        for line in lines:
            context.say(line)
        metrics |= {**result.agreement.figures(), "aggregate": result.consensus.method}
    for reason, count in sorted(result.dropped.items()):
        context.say(f"skipped {count}: {reason.replace('_', ' ')}")
    context.record("annotations", rows, result.dropped, metrics)


STEP = Step(
    name="annotate",
    reads=("reviews", "images", "image_embeddings", "sentence_embeddings"),
    writes=("annotations",),
    sections=("seed", "annotate"),
    run=annotate,
    corpus=True,
    inputs=lambda config: digests("labels", label_files(config)),
)


def import_labels(argv: Sequence[str]) -> None:
    """Run the step with these exports as labels; needs no corpus files."""
    prog = "python -m jobs.annotate import"
    own = argparse.ArgumentParser(prog=prog, allow_abbrev=False, add_help=False)
    own.add_argument("--labels", nargs="+", default=[])
    given, rest = own.parse_known_args(argv)
    config = parse(rest, prog=prog)
    with exit_on_error():
        if not given.labels and not label_files(config):
            raise CorpusError("no labels: --labels EXPORT.json [EXPORT.json ...], each Label Studio's JSON export")
        labels = given.labels or config.corpus.labels
        config = replace(config, corpus=replace(config.corpus, labels=labels))
        check_corpus(config, (STEP.name,))
        execute(STEP, Workspace(config.root), config)


def main(argv: Sequence[str]) -> None:
    commands = {"export": kit.export, "curve": kit.curve, "import": import_labels}
    if argv and argv[0] in commands:
        commands[argv[0]](argv[1:])
    else:
        step_main(STEP, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
