"""The files: official format, determinism, photos broken only where planted."""

import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from showcases_demo import MiniConfig, MiniSummary, build_world, write_mini
from showcases_demo.drawing.camera import photo_bytes
from showcases_demo.writer import photo_order

Corpus = tuple[Path, MiniSummary]
SMALL = MiniConfig(restaurants=4, users=10, reviews=24, photos=60, photo_size=32, annotated_reviews=8)


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "image_review_all.json").read_text("utf-8").splitlines()]


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_rows_have_the_official_form(corpus: Corpus) -> None:
    for row in rows_of(corpus[0]):
        assert list(row) == ["business_id", "user_id", "rating", "review_text", "pics"]
        assert re.fullmatch(r"[0-9a-f]{24}", row["business_id"])
        assert re.fullmatch(r"[1-9][0-9]{20}", row["user_id"])
        assert row["rating"] in (1, 2, 3, 4, 5)
        for pic in row["pics"]:
            assert re.fullmatch(r"AF1Qip[\w-]{38}", pic["id"])
            assert pic["url"] == [f"https://lh5.googleusercontent.com/p/{pic['id']}=w150-h150-k-no-p"]


def test_labels_name_photos_and_reviews_of_the_corpus(corpus: Corpus) -> None:
    folder, summary = corpus
    tasks = json.loads((folder / "labels.json").read_text("utf-8"))
    texts = {f"{row['user_id']}_{row['business_id']}": row["review_text"] for row in rows_of(folder)}
    assert len(tasks) == summary.label_tasks > 100
    for task in tasks:
        assert task["data"]["sentence"] in texts[task["data"]["review_id"]]
        assert (folder / "photos" / f"{task['data']['photo_id']}.jpg").exists()


def test_photos_are_there_but_for_the_planted_faults(corpus: Corpus) -> None:
    folder, summary = corpus
    named = {pic["id"] for row in rows_of(folder) for pic in row["pics"]}
    files = {path.stem: path.read_bytes() for path in (folder / "photos").iterdir()}
    assert len(files) == summary.photo_files
    assert set(files) <= named
    assert len(named - set(files)) == summary.faults["expired_urls"]
    assert len(files) - len(set(files.values())) == summary.faults["duplicate_photos"]
    broken = 0
    for data in files.values():
        try:
            image = Image.open(io.BytesIO(data))
            image.load()
        except OSError:
            broken += 1
        else:
            assert image.mode == "RGB" and min(image.size) == 48
    assert broken == summary.faults["truncated_jpegs"]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        write_mini(tmp_path / name, replace(SMALL, seed=seed), processes=1)
    first, again, other = (digest(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_a_pool_writes_what_one_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("showcases_demo.writer.FEW_PHOTOS", 0)
    lines: list[str] = []
    write_mini(tmp_path / "one", SMALL, processes=1, progress=lines.append)
    write_mini(tmp_path / "two", SMALL, processes=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert any("reviews written" in line for line in lines)


def test_a_copy_has_the_bytes_of_its_original() -> None:
    world = build_world(SMALL)
    photos = {photo.photo_id: (review, photo) for review in world.reviews for photo in review.photos}
    copies = [photo for _, photo in photos.values() if photo.copy_of]
    assert copies
    for photo in copies:
        original = photo_order(world, *photos[photo.copy_of])
        assert photo_bytes(photo_order(world, *photos[photo.photo_id])) == photo_bytes(original)
