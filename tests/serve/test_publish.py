"""What publish puts into the catalog: every review, and a photo wherever it was posted, if it has an embedding."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs import publish
from jobs.config import PipelineConfig
from jobs.step import execute
from jobs.tracking import TrackingConfig
from showcases.artifacts import Manifest, Workspace
from showcases.catalog import Catalog, NotFoundError, located
from showcases.errors import ArtifactError
from showcases.schemas import embeddings_schema

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
    for name in ("reviews", "photos", "images", "image_embeddings", "sentence_embeddings"):
        workspace.finish(Manifest(name, "test", {}, {}, "0", "2026-01-01T00:00:00+00:00", 0.0))
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
    with pytest.raises(ArtifactError, match="photos are embedded by 'tiny#1', sentences by 'tiny#2'"):
        run(workspace)
    assert workspace.manifest("catalog") is None


def test_on_s3(s3_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same step, unchanged, on a workspace in a bucket."""
    monkeypatch.chdir(tmp_path)  # where MLflow keeps artifacts that have no other place
    local = workspace_at(tmp_path / "local")
    remote = Workspace(s3_server.root("published"))
    for name in ("reviews", "photos", "images", "image_embeddings", "sentence_embeddings"):
        remote.upload(Path(local.path(name)), name)
    catalog = run(remote, f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert sorted(catalog.photos_of_business("b1").ids) == ["p1", "p2", "shared"]
