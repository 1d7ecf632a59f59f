"""annotate: people's labels of (sentence, photo) pairs to a table; tasks for people to label where there are none."""

import json
from pathlib import Path

from jobs.config import PipelineConfig
from jobs.corpus import file_digest
from jobs.step import Step, StepContext, main
from showcases.distillation.annotations import (
    AnnotationSet,
    ReviewPairs,
    from_votes,
    make_tasks,
    review_pairs,
    sample_reviews,
)
from showcases.distillation.labelstudio import LABELLING_CONFIG, read_export
from showcases.distillation.weak import weak_labels
from showcases.embeddings import EmbeddingTable
from showcases.errors import CorpusError

WEAK_WARNING = (
    "no labels were given: these are weak labels, made from CLIP similarity; no person labelled them. Figures of the "
    "classifier are against them and say little about what people see. To have people label: {tasks}, "
    "then --labels EXPORT.json"
)


def annotate(context: StepContext) -> None:
    workspace, config = context.workspace, context.config
    status = workspace.read_table("images", ["photo_id", "status"])
    readable = {row["photo_id"] for row in status.to_pylist() if row["status"] == "ok"}
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings")
    photos = EmbeddingTable.read(workspace, "image_embeddings")
    reviews = review_pairs(workspace.read_table("reviews"), sentences.ids, readable.intersection(photos.ids))
    sampled = sample_reviews(reviews, config.annotate.reviews, config.seed)
    write_tasks(context, sampled)
    if config.corpus.labels:
        result = from_people(Path(config.corpus.labels), reviews, config.seed)
    else:
        result = weak_labels(sampled, sentences, photos, config.seed)
        context.say(WEAK_WARNING.format(tasks=workspace.path("annotations", "tasks.json")))
    workspace.write_table(result.table, "annotations")
    tell(context, result)


def from_people(path: Path, reviews: list[ReviewPairs], seed: int) -> AnnotationSet:
    """The labels of a Label Studio export that fit this corpus.

    Raises:
        CorpusError: none does, or it is no export.
    """
    labelled, dropped = read_export(path)
    result = from_votes(labelled, reviews, seed, dropped)
    if not result.table.num_rows:
        raise CorpusError(f"{path}: none of its {len(labelled)} labelled pairs is of this corpus: {result.dropped}")
    return result


def write_tasks(context: StepContext, sampled: list[ReviewPairs]) -> None:
    """What people need to label this corpus in Label Studio, beside the table."""
    tasks = json.dumps(make_tasks(sampled), ensure_ascii=False, indent=1)
    context.workspace.write_bytes(tasks.encode(), "annotations", "tasks.json")
    context.workspace.write_bytes(LABELLING_CONFIG.encode(), "annotations", "labelling_config.xml")


def tell(context: StepContext, result: AnnotationSet) -> None:
    """Print the counts and put them into the manifest."""
    rows = result.rows
    context.say(f"{rows['pairs']} pairs ({result.source} labels), {rows['matching']} of them matching")
    if result.agreement is not None:
        context.say(f"agreement of the annotators: Krippendorff's alpha {result.agreement:.3f}")
    for reason, count in sorted(result.dropped.items()):
        context.say(f"left out {count}: {reason.replace('_', ' ')}")
    agreement = {} if result.agreement is None else {"krippendorff_alpha": result.agreement}
    context.record("annotations", rows, result.dropped, {"source": result.source, **agreement})


def labels_digest(config: PipelineConfig) -> dict[str, str]:
    """The labels file, if one is given: other labels make the step run again."""
    return {"labels file": file_digest(Path(config.corpus.labels))} if config.corpus.labels else {}


STEP = Step(
    name="annotate",
    reads=("reviews", "images", "image_embeddings", "sentence_embeddings"),
    writes=("annotations",),
    sections=("seed", "annotate"),
    run=annotate,
    corpus=True,
    inputs=labels_digest,
)

if __name__ == "__main__":
    main(STEP)
