"""Parts of a report besides tables: the gallery, the classifier's labels, skipped data."""

from collections.abc import Mapping, Sequence

from jobs.runner.step import StepContext
from showcases.distillation import PairClassifier
from showcases.evaluation.examples import Example
from showcases.evaluation.report.gallery import Showcase, make_showcase, pick_users, with_photos
from showcases.evaluation.report.page import Labels
from showcases.evaluation.selection import Ranked
from showcases.evaluation.systems import Written
from showcases.gest.photos.images import read_photos
from showcases.storage.artifacts import FLOW, Workspace
from showcases.storage.embeddings import EmbeddingTable


def make_gallery(
    context: StepContext,
    examples: Sequence[Example],
    served: Ranked,
    written: Mapping[str, Written],
    images: EmbeddingTable,
    classifier: PairClassifier,
) -> list[Showcase]:
    """Gallery entries for some test users, with photos.

    Args:
        served: the selector that chose the photos.
        written: texts by model, in display order.
    """
    workspace = context.workspace
    reviews = workspace.read_table("reviews", ["review_id", "text"])
    past = dict(zip(reviews["review_id"].to_pylist(), reviews["text"].to_pylist(), strict=True))
    entries = []
    for number in pick_users(examples, context.config.evaluate.gallery, context.config.seed):
        example = examples[number]
        texts = {name: (found.sentences[number], found.vectors[number]) for name, found in written.items()}
        liked = served.liked_more[example.review_id]
        entries.append(make_showcase(example, texts, liked, past, images, classifier.score_all))
    bytes_of = read_photos(
        workspace, {photo.photo_id for entry in entries for photo in (*entry.photos, *entry.own_photos)}
    )
    return [with_photos(entry, bytes_of.get) for entry in entries]


def labels_of(workspace: Workspace) -> Labels:
    """Facts about the labels, from the manifests of classifier and annotations."""
    classifier = workspace.require("classifier").metrics
    return Labels(
        source=classifier["source"],
        pairs=workspace.require("annotations").rows["pairs"],
        auc=classifier["auc"],
        f1=classifier["f1"],
        threshold=classifier["threshold"],
        test_pairs=int(classifier["n"]),
        agreement=classifier.get("krippendorff_alpha"),
    )


def left_out(workspace: Workspace) -> dict[str, dict[str, int]]:
    """Counts of skipped rows by artifact and reason."""
    manifests = [workspace.manifest(artifact.name) for artifact in FLOW]
    return {manifest.artifact: manifest.failures for manifest in manifests if manifest is not None}
