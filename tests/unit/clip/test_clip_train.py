"""Training the small CLIP: it learns which photo goes with which sentence, from the training split alone."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from showcases.clip import ClipEncoder
from showcases.clip.config import TrainClipConfig
from showcases.clip.train import ClipPairs, train_clip
from showcases.errors import ConfigError
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES, PHOTOS, REVIEWS
from showcases.training import LoopConfig, Session, TrainingJob
from tests.artifacts import put

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40)}


def jpeg(colour: str, rng: np.random.Generator) -> bytes:
    pixels = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 25, (40, 40, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    rng = np.random.default_rng(0)
    reviews, photos, images = [], [], []
    for i in range(160):
        colour = list(COLOURS)[i % 4]
        review, photo = f"u{i}_b", f"p{i}"
        split = "train" if i < 128 else "val"
        said = [f"A {colour} dish.", "Parking was easy."]
        reviews.append({"review_id": review, "user_id": f"u{i}", "business_id": "b", "rating": 5.0, "split": split,
                        "text": " ".join(said), "sentences": said, "photo_ids": [photo]})  # fmt: skip
        photos.append({"photo_id": photo, "review_id": review, "user_id": f"u{i}", "business_id": "b", "url": None})
        good = i % 40 != 7
        images.append({"photo_id": photo, "bytes": jpeg(colour, rng) if good else None, "width": 40, "height": 40,
                       "status": "ok" if good else "expired", "error": None})  # fmt: skip
    result = Workspace(str(tmp_path))
    for name, rows, schema in (("reviews", reviews, REVIEWS), ("photos", photos, PHOTOS), ("images", images, IMAGES)):
        put(result, name, pa.Table.from_pylist(rows, schema=schema))
    return result


CONFIG = replace(
    TrainClipConfig(),
    image_size=32, embed_dim=16, text_width=32, text_layers=1, context_length=16,
    loop=LoopConfig(epochs=8, batch_size=32, lr=3e-3, optimizer="adamw"),
)  # fmt: skip


def test_it_learns_from_pairs_what_a_colour_is_called(workspace: Workspace, tmp_path: Path) -> None:
    import shutil

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        shutil.copytree(checkpoint / "model", tmp_path / "kept")

    train_clip(TrainingJob(workspace, CONFIG, None), Session(report))
    encoder = ClipEncoder.from_pretrained(tmp_path / "kept")
    rng = np.random.default_rng(9)
    photos, _ = encoder.encode_images([jpeg(colour, rng) for colour in COLOURS for _ in range(5)])
    texts = encoder.encode_text([f"A {colour} dish." for colour in COLOURS])
    named = (photos @ texts.T).argmax(1)
    assert (named == np.repeat(np.arange(4), 5)).mean() >= 0.9  # chance: 0.25


def test_only_whole_photos_of_the_split_are_paired(workspace: Workspace) -> None:
    train = ClipPairs(workspace, "train", 32, 16)
    assert len(train) == 128 - 4  # 7, 47, 87 and 127 have expired
    val = ClipPairs(workspace, "val", 32, 16)
    assert len(val) == 32


def test_pairs_are_in_the_photos_order_and_a_duplicate_shows_what_its_holder_does(workspace: Workspace) -> None:
    before = ClipPairs(workspace, "train", 32, 16)
    rows = workspace.read_table("images").to_pylist()
    rows[8] |= {"bytes": None, "same_as": "p12"}  # of the same colour, but another photo until now
    workspace.write_table(pa.Table.from_pylist(rows[::-1], schema=IMAGES), "images")  # shards lie in any order
    after = ClipPairs(workspace, "train", 32, 16)
    assert after.sentences == before.sentences and len(after) == len(before)
    expected = before.pixels.copy()
    expected[7] = before.pixels[11]  # p7 has expired
    np.testing.assert_array_equal(after.pixels, expected)


def test_a_drawn_text_is_sentences_of_the_photos_own_review(workspace: Workspace) -> None:
    pairs = ClipPairs(workspace, "train", 32, 16)
    _, texts = pairs.draw(np.arange(len(pairs)), np.random.default_rng(0))
    for number, text in enumerate(texts):
        body = [t for t in text.tolist() if t][1:-1]
        first, second = pairs.sentences[number]
        assert body in (first, second, first + second, second + first)
    _, whole = pairs.draw(np.arange(2), None)
    assert [t for t in whole[0].tolist() if t][1:-1] == [*pairs.sentences[0][0], *pairs.sentences[0][1]]


def test_a_split_without_pairs_is_a_clear_error(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="test split"):
        ClipPairs(workspace, "test", 32, 16)
