"""Workspace data for annotation: reviews with pairs, texts, vectors and Φ's scores."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from showcases.distillation import PairClassifier
from showcases.distillation.annotations import Dispute, Pairable, ReviewPairs
from showcases.distillation.labelstudio_tasks import WholeReview
from showcases.ids import sentence_id
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable
from showcases.storage.shards import read_shards


def usable(workspace: Workspace) -> Pairable:
    """All reviews, with their embedded sentences and their readable, embedded photos."""
    status = workspace.read_table("images", ["photo_id", "status"])
    readable = status.filter(pc.equal(status["status"], "ok"))["photo_id"]
    photos = EmbeddingShards(workspace, "image_embeddings").all_ids()
    return Pairable(
        workspace.read_table("reviews", ["review_id", "business_id", "sentences", "photo_ids"]),
        EmbeddingShards(workspace, "sentence_embeddings").all_ids(),
        photos.filter(pc.is_in(photos, value_set=readable)),
    )


def vectors_of(workspace: Workspace, reviews: Iterable[ReviewPairs]) -> tuple[EmbeddingTable, EmbeddingTable]:
    """The vectors of these reviews' sentences, and of their photos."""
    sentence_ids: list[str] = []
    photo_ids: list[str] = []
    for review in reviews:
        sentence_ids.extend(sentence_id(review.review_id, number) for number in review.sentences)
        photo_ids.extend(review.photo_ids)
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings", sentence_ids)
    return sentences, EmbeddingTable.read(workspace, "image_embeddings", photo_ids)


def whole_reviews(workspace: Workspace, reviews: Iterable[ReviewPairs]) -> dict[str, WholeReview]:
    """Text and all sentences of these reviews, by id."""
    wanted = pa.array([review.review_id for review in reviews], pa.string())
    result = {}
    columns = ("review_id", "text", "sentences")
    for shard in read_shards(workspace, workspace.shards("reviews"), columns):
        for row in shard.filter(pc.is_in(shard["review_id"], value_set=wanted)).to_pylist():
            result[row["review_id"]] = WholeReview(row["text"] or "", row["sentences"] or ())
    return result


def scored(workspace: Workspace, disputes: Sequence[Dispute]) -> list[Dispute]:
    """The disputes with Φ's scores, if there is a classifier for these embeddings; else unchanged."""
    if not disputes or workspace.manifest("classifier") is None:
        return list(disputes)
    classifier = workspace.load(PairClassifier.from_pretrained, "classifier")
    sentence_ids, photo_ids = (
        [dispute.sentence_id for dispute in disputes],
        [dispute.pair.photo_id for dispute in disputes],
    )
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings", sentence_ids)
    if classifier.embedding_space != sentences.model_id:  # the embeddings were rebuilt since
        return list(disputes)
    photos = EmbeddingTable.read(workspace, "image_embeddings", photo_ids)
    scores = classifier.score(sentences.gather(sentence_ids), photos.gather(photo_ids))
    return [replace(dispute, score=float(score)) for dispute, score in zip(disputes, scores, strict=True)]
