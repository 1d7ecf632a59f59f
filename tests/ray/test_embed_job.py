"""The step embed on the shared cluster: what it writes down, what it does again and what not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from showcases.clip import ClipEncoder
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import embeddings_schema
from tests.embed_faults import Photos, modified, vectors_and_failures, write_inputs
from tests.unfinished import unfinish

pytestmark = pytest.mark.ray

PHOTOS = Photos(120, seed=3, corrupt=0.05, twins=0.1, shard=50)


@pytest.fixture(scope="module")
def done(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which embed has run, with the dtype left to the machine."""
    from jobs import embed
    from jobs.runner.execute import execute

    workspace = Workspace(str(tmp_path_factory.mktemp("embed") / "workspace"))
    write_inputs(workspace, PHOTOS)
    assert execute(embed.STEP, workspace, config_of(workspace))
    return workspace


def config_of(workspace: Workspace):
    from jobs.runner.cluster import ClusterConfig
    from jobs.runner.config import PipelineConfig
    from showcases.clip.config import EmbedConfig

    embed = EmbedConfig(photos_per_unit=16, sentences_per_unit=30)
    return PipelineConfig(root=workspace.root, embed=embed, cluster=ClusterConfig(price_per_hour=3.6))


def test_the_manifest_tells_what_came_of_it_and_what_it_cost(done: Workspace) -> None:
    vectors, failed = vectors_and_failures(done)
    manifest = done.require("image_embeddings")
    assert manifest.rows == {"vectors": len(vectors)} and manifest.failures == {"corrupt": len(failed)}
    assert len(vectors) + len(failed) == PHOTOS.count and len(failed) >= 6
    metrics = manifest.metrics
    assert metrics["dtype"] in ("float32", "bfloat16")
    assert metrics["rows"] == PHOTOS.count and metrics["per_second"] > 0
    assert metrics["cpu_seconds"] == pytest.approx(4 * metrics["seconds"], rel=1e-3)  # the cluster has 4
    assert metrics["usd"] == pytest.approx(metrics["seconds"] * 0.001, rel=1e-3)
    assert metrics["usd_per_million"] == pytest.approx(metrics["usd"] / PHOTOS.count * 1e6, rel=1e-2)
    stored = [row["bytes"] for row in PHOTOS.rows() if row.get("bytes")]
    assert metrics["bytes_in"] == sum(len(data) for data in stored)
    assert metrics["decode_cpu_s"] > 0 and metrics["encode_s"] > 0 and metrics["bytes_out"] > 0
    assert done.require("sentence_embeddings").rows == {"vectors": 100}
    assert done.require("embed_failures").failures == {"corrupt": len(failed)}


def test_vectors_are_the_encoders_own(done: Workspace) -> None:
    encoder = ClipEncoder.from_pretrained(
        Path(done.path("clip")), dtype=done.require("image_embeddings").metrics["dtype"]
    )
    vectors, _ = vectors_and_failures(done)
    stored = {row["photo_id"]: row["bytes"] for row in PHOTOS.rows() if row.get("bytes")}
    expected, errors = encoder.encode_images(list(stored.values()))
    for name, vector, error in zip(stored, expected, errors, strict=True):
        assert (name in vectors) == (error is None)
        if error is None:
            np.testing.assert_allclose(vectors[name], vector, atol=5e-3)
    table = done.read_table("sentence_embeddings")
    said = dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    expected = encoder.encode_text(["Dish 7 was good.", "Thanks."])
    np.testing.assert_allclose(np.array([said["r7:0"], said["r7:1"]], np.float32), expected, atol=5e-3)


def test_a_run_that_was_cut_off_goes_on_where_it_was_with_the_dtype_it_had(
    done: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobs import embed
    from jobs.runner.execute import execute

    before, times = vectors_and_failures(done), modified(done)
    lost = sorted(times)[:2]
    for name in lost:
        Path(done.path("image_embeddings", name)).unlink()
    note, before_dtype = Path(done.path(*embed.DTYPE_FILE)), done.require("image_embeddings").metrics["dtype"]
    other = {"float32": "bfloat16", "bfloat16": "float32"}[before_dtype]  # as if begun on another kind of machine
    note.write_text(json.dumps({"dtype": other}))
    unfinish(done, "image_embeddings")
    assert execute(embed.STEP, done, config_of(done))
    after = modified(done)
    assert set(after) == set(times) and {p for p in times if times[p] != after[p]} == set(lost)
    again = vectors_and_failures(done)
    assert again[0].keys() == before[0].keys() and again[1] == before[1]
    for name, vector in before[0].items():
        np.testing.assert_allclose(again[0][name], vector, atol=2e-2)
    metrics = done.require("image_embeddings").metrics
    assert metrics["dtype"] == other and metrics["rows"] <= 2 * 16 * 2  # two units, with duplicates
    assert "already done, resuming" in capsys.readouterr().out
    assert not execute(embed.STEP, done, config_of(done))


def test_what_does_not_belong_there_is_found(done: Workspace) -> None:
    """A shard of other making, with an id that stands already."""
    from jobs import embed
    from jobs.runner.execute import execute

    stray = pa.table(
        [["p0", "unheard-of"], pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(32, np.float16)), 16)],
        schema=embeddings_schema(16, "other"),
    )
    done.write_table(stray, "image_embeddings", "part-stray.parquet")
    unfinish(done, "image_embeddings")
    with pytest.raises(ShowcasesError, match=r"image_embeddings.*--force"):
        execute(embed.STEP, done, config_of(done))
    assert done.manifest("image_embeddings") is None


def test_orphans_are_failures_and_another_dtype_is_another_work(done: Workspace) -> None:
    from jobs import embed
    from jobs.runner.execute import execute
    from showcases.storage.artifacts import Manifest
    from showcases.storage.schemas import IMAGES

    row = {"photo_id": "orphan", "status": "ok", "same_as": "nobody"}
    done.write_table(pa.Table.from_pylist([row], schema=IMAGES), "images", "part-more.parquet")
    done.finish(Manifest("images", "test", {}, {}, "0", "later", 0.0))
    config = config_of(done)
    config = replace(config, embed=replace(config.embed, dtype="float32"))
    assert execute(embed.STEP, done, config)
    manifest = done.require("image_embeddings")
    assert manifest.failures["orphan"] == 1 and manifest.metrics["dtype"] == "float32"
    assert "part-stray" not in " ".join(done.shards("image_embeddings"))
    vectors, failed = vectors_and_failures(done)
    assert "orphan" in failed and len(vectors) + len(failed) == PHOTOS.count + 1
