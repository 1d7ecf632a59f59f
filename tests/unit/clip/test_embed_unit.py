"""One unit from shard to shard: what it writes, for whom, and what becomes of photos that don't decode."""

import contextlib
import io
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from showcases.clip import config, model
from showcases.clip.config import CONFIG_FILE, TrainClipConfig
from showcases.clip.embed import UnitEncoder
from showcases.clip.units import FAILURES, PHOTOS, SENTENCES, Unit, prepare
from showcases.photos import PhotoError, to_pixels
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES, REVIEWS

SIZE = 32
SMALL = replace(TrainClipConfig(), image_size=SIZE, embed_dim=16, text_width=32, text_layers=1, context_length=16)


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(str(tmp_path))
    torch.manual_seed(0)
    config = model.small_config(SMALL)
    model.save(model.build(config), config, tmp_path / "clip")
    rows = [{"photo_id": f"p{i}", "bytes": jpeg(i), "status": "ok"} for i in range(6)]
    rows[2]["bytes"] = rows[2]["bytes"][:200]
    rows[4]["bytes"] = None
    workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images")
    said = [["A fine bowl.", "Too salty!"], [], None, ["Friendly."]]
    reviews = [{"review_id": f"r{i}", "sentences": sentences} for i, sentences in enumerate(said)]
    workspace.write_table(pa.Table.from_pylist(reviews, schema=REVIEWS), "reviews")
    return workspace


def unit(workspace: Workspace, artifact: str, rows: list[int], **writes: list[str]) -> Unit:
    [path] = workspace.shards("images" if artifact == PHOTOS else "reviews")
    return Unit(artifact, "part-x.parquet", path, 0, np.array(rows, np.int32), writes)


def read(workspace: Workspace, artifact: str) -> dict[str, list]:
    return pa.parquet.read_table(workspace.path(artifact, "part-x.parquet")).to_pydict()


def test_each_photo_ends_as_a_vector_or_a_failure_and_duplicates_share_one(workspace: Workspace) -> None:
    encoder = UnitEncoder(workspace, batch_size=2)
    todo = unit(workspace, PHOTOS, [0, 2, 3, 4, 5], p3=["p3", "twin-a", "twin-b"], p2=["p2", "twin-c"])
    came_to = encoder(prepare(todo, workspace, SIZE))
    written = read(workspace, PHOTOS)
    expected, _ = encoder.encoder.encode_images([jpeg(0), *[jpeg(3)] * 3, jpeg(5)])
    assert written["id"] == ["p0", "p3", "twin-a", "twin-b", "p5"]
    np.testing.assert_allclose(np.array(written["vector"], np.float32), expected, atol=1e-3)
    assert written["vector"][1] == written["vector"][2] == written["vector"][3]
    failed = read(workspace, FAILURES)
    assert list(zip(failed["id"], failed["kind"], strict=True)) == [
        ("p2", "corrupt"), ("twin-c", "corrupt"), ("p4", "missing"),
    ]  # fmt: skip
    assert came_to["rows"] == 8 and came_to["outcome.ok"] == 5 and came_to["outcome.failed"] == 3
    assert came_to["amount.bytes_in"] == sum(len(jpeg(i)) for i in (0, 3, 5)) + 200


def test_a_unit_of_broken_photos_writes_no_vectors(workspace: Workspace) -> None:
    UnitEncoder(workspace, 2)(prepare(unit(workspace, PHOTOS, [2, 4]), workspace, SIZE))
    assert workspace.shards(PHOTOS) == [] and read(workspace, FAILURES)["id"] == ["p2", "p4"]


def test_sentences_are_numbered_within_their_review(workspace: Workspace) -> None:
    encoder = UnitEncoder(workspace, batch_size=2)
    encoder(prepare(unit(workspace, SENTENCES, [0, 1, 2, 3]), workspace, SIZE))
    written = read(workspace, SENTENCES)
    assert written["id"] == ["r0:0", "r0:1", "r3:0"]
    expected = encoder.encoder.encode_text(["A fine bowl.", "Too salty!", "Friendly."])
    np.testing.assert_allclose(np.array(written["vector"], np.float32), expected, atol=1e-3)


@pytest.mark.parametrize(("device", "threads"), [("cpu", 1), ("cpu", 3)])
def test_threads_change_no_vector_and_no_order(workspace: Workspace, device: str, threads: int) -> None:
    torch_threads = torch.get_num_threads()
    try:
        encoder = UnitEncoder(workspace, 1, device, threads)
        encoder(prepare(unit(workspace, PHOTOS, [0, 3, 5]), workspace, SIZE))
    finally:
        torch.set_num_threads(torch_threads)
    written = read(workspace, PHOTOS)
    expected, _ = encoder.encoder.encode_images([jpeg(0), jpeg(3), jpeg(5)])
    assert written["id"] == ["p0", "p3", "p5"]
    np.testing.assert_allclose(np.array(written["vector"], np.float32), expected, atol=1e-3)


def test_the_size_of_photos_is_known_without_loading_the_weights(workspace: Workspace, tmp_path: Path) -> None:
    assert config.image_size(tmp_path / "clip") == SIZE
    (tmp_path / "clip" / CONFIG_FILE).write_text(json.dumps(model.note(config.ClipConfig("ViT-L-14-336", "x"))))
    assert config.image_size(tmp_path / "clip") == 336


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow speaks of what it finds broken
@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_bytes_they_give_pixels_or_a_photo_error(seed: int) -> None:
    """Bytes changed, cut out and cut off at random, in the formats that a photo may come in."""
    rng = random.Random(seed)
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(jpeg(seed))).save(buffer, form)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for _ in range(rng.choice((1, 4, 40))):
                data[rng.randrange(min(len(data), rng.choice((40, 10**6))))] = rng.randrange(256)
            if rng.random() < 0.3:
                del data[rng.randrange(len(data)) :]
            with contextlib.suppress(PhotoError):
                assert to_pixels(bytes(data), SIZE).shape == (SIZE, SIZE, 3)
