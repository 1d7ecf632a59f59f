"""What publish puts into the catalog: every review, and a photo wherever it was posted, if it has an embedding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs import publish
from jobs.runner.config import PipelineConfig
from jobs.runner.execute import execute
from jobs.runner.step import StepContext
from jobs.tracking.config import TrackingConfig
from showcases.catalog import Catalog, NotFoundError, corpus, located
from showcases.errors import ModelError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable, review_features
from showcases.storage.schemas import embeddings_schema
from tests.artifacts import finish
from tests.copies import copies_of

DIM = 4


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


PHOTO_VECTORS = {"p1": unit(1, 0, 0, 0), "p2": unit(0, 1, 0, 0), "shared": unit(1, 1, 0, 0), "twin": unit(1, 0, 0, 0)}
SENTENCES = {"u1_b1:0": unit(1, 0, 0, 0), "u1_b1:1": unit(0, 1, 0, 0)}
POSTED = [
    ("p1", "u1", "b1"),
    ("p2", "u2", "b1"),
    ("broken", "u2", "b1"),
    ("shared", "u1", "b1"),
    ("shared", "u2", "b2"),
    ("twin", "u2", "b2"),  # an exact duplicate of p1, whose bytes stand for both
]


def workspace_at(root: Path, sentence_model: str = "tiny#1") -> Workspace:
    workspace = Workspace(str(root))
    reviews = [
        {"review_id": f"{user}_{place}", "user_id": user, "business_id": place, "text": f"{user} at {place}.",
         "rating": None, "sentences": [], "photo_ids": [], "split": "train"}
        for user, place in (("u1", "b1"), ("u2", "b1"), ("u2", "b2"))
    ]  # fmt: skip
    photos = [
        {"photo_id": photo, "review_id": f"{user}_{place}", "user_id": user, "business_id": place, "url": ""}
        for photo, user, place in POSTED
    ]
    images = [
        {"photo_id": name, "bytes": f"jpeg of {name}".encode() if name != "broken" else None, "width": 3, "height": 2,
         "status": "ok" if name != "broken" else "corrupt", "error": None, "content_hash": None, "same_as": None}
        for name in ("p1", "p2", "broken", "shared")
    ]  # fmt: skip
    images.append(images[0] | {"photo_id": "twin", "bytes": None, "same_as": "p1"})
    workspace.write_table(pa.Table.from_pylist(reviews), "reviews")
    workspace.write_table(pa.Table.from_pylist(photos), "photos")
    workspace.write_table(pa.Table.from_pylist(images[:2]), "images", "part-00000.parquet")
    workspace.write_table(pa.Table.from_pylist(images[2:]), "images", "part-00001.parquet")
    for name, vectors, model in (
        ("image_embeddings", PHOTO_VECTORS, "tiny#1"),
        ("sentence_embeddings", SENTENCES, sentence_model),
    ):
        rows = [{"id": key, "vector": vector} for key, vector in vectors.items()]
        workspace.write_table(pa.Table.from_pylist(rows, schema=embeddings_schema(DIM, model)), name)
    finish(workspace, "reviews", "photos", "images", "image_embeddings", "sentence_embeddings")
    return workspace


def run(workspace: Workspace, tracking_uri: str | None = None) -> Catalog:
    config = PipelineConfig(root=workspace.root, tracking=TrackingConfig(uri=tracking_uri))
    execute(publish.STEP, workspace, config)
    return Catalog.open(*located(workspace))


def test_photos_with_an_embedding_are_published_wherever_they_were_posted(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    catalog = run(workspace)
    found = catalog.photos_of_business("b1")
    assert sorted(found.ids) == ["p1", "p2", "shared"]
    for name, vector in zip(found.ids, found.vectors, strict=True):
        np.testing.assert_array_equal(vector, PHOTO_VECTORS[name].astype(np.float32))
    for rows in (catalog.photos_of_business("b2"), catalog.photos_of_user("u2").elsewhere("b1")):
        assert sorted(rows.ids) == ["shared", "twin"]
    assert catalog.photo("p2").bytes == b"jpeg of p2"
    assert catalog.photo("twin").bytes == b"jpeg of p1" and catalog.photo("twin").business_id == "b2"
    with pytest.raises(NotFoundError):
        catalog.photo("broken")
    manifest = workspace.require("catalog")
    assert manifest.rows == {"photos": 5, "reviews": 3, "businesses": 2, "users": 2}
    assert manifest.failures == {"photos without an embedding": 1}


def test_a_reviews_feature_is_the_mean_of_its_sentences(tmp_path: Path) -> None:
    catalog = run(workspace_at(tmp_path))
    (feature,) = catalog.reviews_of_user("u1").features
    np.testing.assert_allclose(feature, [2**-0.5, 2**-0.5, 0, 0], atol=1e-3)
    silent = catalog.reviews_of_user("u2")
    assert len(silent.ids) == 2 and silent.features.shape == (0, DIM)


def test_embeddings_of_two_encoders_are_refused(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path, sentence_model="tiny#2")
    with pytest.raises(ModelError, match="photos by 'tiny#1', sentences by 'tiny#2'"):
        run(workspace)
    assert workspace.manifest("catalog") is None


def rows_by_loop(workspace: Workspace) -> tuple[list[tuple], list[tuple]]:
    """Photos and reviews that belong into the catalog, from all rows at once as plain values."""
    images, sentences = (EmbeddingTable.read(workspace, f"{kind}_embeddings") for kind in ("image", "sentence"))
    vectors = dict(zip(images.ids, images.vectors, strict=True))
    copies, photos = copies_of(workspace), []
    for image in workspace.read_table("images").to_pylist():
        for name in (image["photo_id"], *copies.get(image["photo_id"], ())):
            for post in workspace.read_table("photos").to_pylist():
                if image["bytes"] is not None and name in vectors and post["photo_id"] == name:
                    ids = (name, post["business_id"], post["user_id"], post["review_id"])
                    photos.append((*ids, vectors[name].tolist(), image["bytes"], image["width"], image["height"]))
    reviews = []
    features = review_features(sentences, workspace.read_table("reviews")["review_id"].to_pylist())
    for row in workspace.read_table("reviews").to_pylist():
        feature = features.get(row["review_id"])
        known = tuple(row[name] for name in ("review_id", "user_id", "business_id", "text", "rating"))
        reviews.append((*known, None if feature is None else feature.astype(np.float16).tolist()))
    return photos, reviews


def test_the_stream_holds_what_a_loop_over_all_rows_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "ROWS", 7)  # batches end within reviews and shards
    workspace = scattered_workspace(tmp_path)
    photos, reviews = rows_by_loop(workspace)
    assert len(photos) > 100 and any(row[-1] is None for row in reviews)
    streams = (
        corpus.photo_batches(workspace, EmbeddingShards(workspace, "image_embeddings")),
        corpus.review_batches(workspace, EmbeddingShards(workspace, "sentence_embeddings")),
    )
    for stream, expected in zip(streams, (photos, reviews), strict=True):
        rows = [tuple(row.values()) for batch in stream for row in batch.to_pylist()]
        for row, wanted in zip(rows, expected, strict=True):
            for found, value in zip(row, wanted, strict=True):
                if isinstance(value, list):
                    np.testing.assert_allclose(found, value, atol=1e-3)
                else:
                    assert found == value


def scattered_workspace(root: Path) -> Workspace:
    """120 photos, some posted twice, broken, without an embedding, or copies of others; vectors in another order."""
    random, workspace = np.random.default_rng(0), Workspace(str(root))
    names = [f"p{number}" for number in range(120)]
    same = {f"p{number}": f"p{number % 7}" for number in range(60, 90, 3)}
    images = [
        {"photo_id": name, "bytes": None if name in same or number % 11 == 10 else name.encode(), "width": number,
         "height": 9, "status": "ok", "error": None, "content_hash": None, "same_as": same.get(name)}
        for number, name in enumerate(names)
    ]  # fmt: skip
    posted = [*random.permutation(names), *random.choice(names, 40)]
    reviews = [f"u{random.integers(0, 9)}:x_b{random.integers(0, 5)}" for _ in posted]
    ids = [dict(zip(("user_id", "business_id"), name.split("_"), strict=True)) for name in reviews]
    photos = [
        {"photo_id": str(name), "review_id": review, **both, "url": ""}
        for name, review, both in zip(posted, reviews, ids, strict=True)
    ]
    said = [
        {"review_id": name, "user_id": name.split("_")[0], "business_id": name.split("_")[1], "text": name,
         "rating": None, "sentences": [], "photo_ids": [], "split": "train"}
        for name in sorted(set(reviews))
    ]  # fmt: skip
    sentences = [f"{row['review_id']}:{number}" for row in said[::2] for number in range(5)]
    tables = {
        "images": pa.Table.from_pylist(images),
        "photos": pa.Table.from_pylist(photos),
        "reviews": pa.Table.from_pylist(said),
        "image_embeddings": vectors_of(random.permutation(names[:100]), random),
        "sentence_embeddings": vectors_of(random.permutation([*sentences, "nobody_nowhere:0"]), random),
    }
    for name, table in tables.items():
        for part in range(3):
            rows = table.slice(part * len(table) // 3, (part + 1) * len(table) // 3 - part * len(table) // 3)
            workspace.write_table(rows, name, f"part-{part:05d}.parquet")
        finish(workspace, name)
    return workspace


def vectors_of(ids: np.ndarray, random: np.random.Generator) -> pa.Table:
    rows = [{"id": str(name), "vector": unit(*random.normal(size=DIM))} for name in ids]
    return pa.Table.from_pylist(rows, schema=embeddings_schema(DIM, "tiny#1"))


def test_a_running_reader_is_not_disturbed_by_a_forced_publish(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    before = run(workspace)
    seen = []

    def watched(context: StepContext) -> None:
        seen.append((workspace.manifest("catalog") is not None, before.photo("p1").bytes, before.is_current()))
        publish.run(context)
        seen.append((workspace.manifest("catalog") is not None, before.photo("p1").bytes, before.is_current()))

    config = PipelineConfig(root=workspace.root, tracking=TrackingConfig(uri=None), force=True)
    assert execute(replace(publish.STEP, run=watched), workspace, config)
    assert seen == [(True, b"jpeg of p1", True), (True, b"jpeg of p1", False)]
    assert before.refresh() and before.photo("p1").bytes == b"jpeg of p1"


def test_a_catalog_from_before_there_were_versions_is_published_anew(tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path)
    run(workspace)
    config = PipelineConfig(root=workspace.root, tracking=TrackingConfig(uri=None))
    assert not execute(publish.STEP, workspace, config)
    Path(workspace.path("catalog", "current.json")).unlink()
    assert execute(publish.STEP, workspace, config)


def test_on_s3(s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same step, unchanged, on a workspace in a bucket."""
    monkeypatch.chdir(tmp_path)  # where MLflow keeps artifacts that have no other place
    local = workspace_at(tmp_path / "local")
    remote = Workspace(s3_server.root("published"))
    for name in ("reviews", "photos", "images", "image_embeddings", "sentence_embeddings"):
        remote.upload(Path(local.path(name)), name)
    catalog = run(remote, f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert sorted(catalog.photos_of_business("b1").ids) == ["p1", "p2", "shared"]
