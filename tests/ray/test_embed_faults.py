"""Drivers and encoders die at random times: afterwards each photo is there once, with the vector it would have had."""

from pathlib import Path

import numpy as np
import pytest

from showcases.storage.artifacts import Workspace
from tests.embed_faults import Photos, modified, survive, vectors_and_failures, write_inputs

pytestmark = pytest.mark.ray


def check_accounts(workspace: Workspace, photos: Photos) -> tuple[dict[str, np.ndarray], list[str]]:
    """Every photo that is ok is a vector or a failure; the broken ones, and duplicates of them, are the failures."""
    rows = list(photos.rows())
    ok = {str(row["photo_id"]) for row in rows if row["status"] == "ok"}
    vectors, failed = vectors_and_failures(workspace)
    assert {*vectors, *failed} == ok and len(ok) == photos.count
    whole = {str(row["photo_id"]) for row in rows if row.get("bytes") and bytes(row["bytes"]).endswith(b"\xff\xd9")}
    assert whole <= set(vectors)
    owners = {str(row["photo_id"]): str(row["same_as"]) for row in rows if row.get("same_as")}
    for twin, owner in owners.items():
        assert (twin in vectors) == (owner in vectors)
        if twin in vectors:
            np.testing.assert_array_equal(vectors[twin], vectors[owner])
    manifest = workspace.require("image_embeddings")
    assert manifest.rows["vectors"] == len(vectors) and manifest.failures == {"corrupt": len(failed)}
    return vectors, failed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_driver_and_a_killed_encoder_lose_nothing(ray_cluster: str, tmp_path: Path) -> None:
    from showcases.clip import ClipEncoder

    photos, unit = Photos(1_500), 16
    workspace = Workspace(str(tmp_path / "workspace"))
    write_inputs(workspace, photos)
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = survive(workspace, ["encoder", "driver"], 1, photos.count // unit, ray_cluster, tracking, unit)
    assert result.killed == ["encoder", "driver"] and result.kept
    times = modified(workspace)
    assert {path: times[path] for path in result.kept} == result.kept  # what stood was not computed again
    vectors, failed = check_accounts(workspace, photos)
    stored = {str(r["photo_id"]): bytes(r["bytes"]) for r in photos.rows() if r.get("bytes")}
    expected, errors = ClipEncoder.from_pretrained(tmp_path / "workspace" / "clip").encode_images(list(stored.values()))
    for name, vector, error in zip(stored, expected, errors, strict=True):
        assert (name in failed) == (error is not None)
        if error is None:
            np.testing.assert_allclose(vectors[name], vector, atol=1e-3)  # float16 is within 5e-4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [0])
def test_twenty_thousand_photos_one_dead_driver_two_dead_encoders(ray_cluster: str, tmp_path: Path, seed: int) -> None:
    photos, unit = Photos(20_000, seed=seed), 64
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    calm, shaken = (Workspace(str(tmp_path / name)) for name in ("calm", "shaken"))
    for workspace in (calm, shaken):
        write_inputs(workspace, photos)
    units = photos.count // unit
    undisturbed = survive(calm, [], seed, units, ray_cluster, tracking, unit)
    kills = [["encoder", "driver", "encoder"], ["driver", "encoder", "encoder"]][seed % 2]
    result = survive(shaken, kills, seed, units, ray_cluster, tracking, unit)
    assert result.killed == kills
    expected, expected_failures = check_accounts(calm, photos)
    vectors, failures = check_accounts(shaken, photos)
    assert sorted(failures) == sorted(expected_failures) and set(vectors) == set(expected)
    for name, vector in expected.items():
        np.testing.assert_array_equal(vectors[name], vector)
    print(f"undisturbed {undisturbed.seconds:.1f} s, with {', '.join(kills)} killed {result.seconds:.1f} s")
