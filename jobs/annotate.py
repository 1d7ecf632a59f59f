"""annotate: people's labels of (sentence, photo) pairs to a table; tasks for people to label where there are none."""

import json
from pathlib import Path

import pyarrow.compute as pc

from jobs.config import PipelineConfig
from jobs.corpus import file_digest
from jobs.step import Step, StepContext, main
from showcases.artifacts import Workspace
from showcases.distillation.annotations import (
    AnnotationSet,
    Pairable,
    ReviewPairs,
    from_votes,
    make_tasks,
    sample_reviews,
)
from showcases.distillation.labelstudio import LABELLING_CONFIG, read_export
from showcases.distillation.weak import weak_labels
from showcases.embeddings import EmbeddingShards, EmbeddingTable
from showcases.errors import CorpusError

WEAK_WARNING = (
    "no labels were given: these are weak labels, made from CLIP similarity; no person labelled them. Figures of the "
    "classifier are against them and say little about what people see. To have people label: {tasks}, "
    "then --labels EXPORT.json"
)


def annotate(context: StepContext) -> None:
    workspace, config = context.workspace, context.config
    reviews = usable(workspace)
    sampled = reviews.pairs(sample_reviews(reviews.rows(), config.annotate.reviews, config.seed))
    write_tasks(context, sampled)
    if config.corpus.labels:
        result = from_people(Path(config.corpus.labels), reviews, config.seed)
    else:
        result = weak_labels(sampled, *vectors_of(workspace, sampled), config.seed)
        context.say(WEAK_WARNING.format(tasks=workspace.path("annotations", "tasks.json")))
    workspace.write_table(result.table, "annotations")
    tell(context, result)


def usable(workspace: Workspace) -> Pairable:
    """All reviews, with the sentences that are embedded and the photos that are readable and embedded."""
    status = workspace.read_table("images", ["photo_id", "status"])
    readable = status.filter(pc.equal(status["status"], "ok"))["photo_id"]
    photos = EmbeddingShards(workspace, "image_embeddings").all_ids()
    return Pairable(
        workspace.read_table("reviews", ["review_id", "business_id", "sentences", "photo_ids"]),
        EmbeddingShards(workspace, "sentence_embeddings").all_ids(),
        photos.filter(pc.is_in(photos, value_set=readable)),
    )


def vectors_of(workspace: Workspace, reviews: list[ReviewPairs]) -> tuple[EmbeddingTable, EmbeddingTable]:
    """The vectors of these reviews' sentences, and of their photos."""
    said = [f"{review.review_id}:{number}" for review in reviews for number in review.sentences]
    shown = [name for review in reviews for name in review.photo_ids]
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings", said)
    return sentences, EmbeddingTable.read(workspace, "image_embeddings", shown)


def from_people(path: Path, reviews: Pairable, seed: int) -> AnnotationSet:
    """The labels of a Label Studio export that fit this corpus.

    Raises:
        CorpusError: none does, or it is no export.
    """
    labelled, dropped = read_export(path)
    known = reviews.pairs(reviews.rows({pair.review_id for pair in labelled}))
    result = from_votes(labelled, known, seed, dropped)
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
