"""Write the world to disk in the official GEST format: the review file, the photos, the labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from showcases_demo.annotators import label_tasks
from showcases_demo.config import MiniConfig
from showcases_demo.drawing.camera import PhotoOrder, photo_bytes
from showcases_demo.model import Photo, Review, World
from showcases_demo.summary import MiniSummary, summarize
from showcases_demo.world import build_world

REVIEWS_FILE, PHOTOS_FOLDER, LABELS_FILE = "image_review_all.json", "photos", "labels.json"
FEW_PHOTOS = 400  # below this, drawing in this process is faster than starting others
CHUNK = 50  # photos per task of the pool


def write_mini(
    folder: Path, config: MiniConfig, processes: int = 2, progress: Callable[[str], None] | None = None
) -> MiniSummary:
    """Write `image_review_all.json`, `photos/<photo id>.jpg` and `labels.json` into the folder.

    Args:
        folder: made if missing; files of the same name are replaced.
        config: sizes and seed; the same config writes the same bytes, whatever `processes` is.
        processes: that draw photos side by side.
        progress: called with a line of text now and then.
    """
    say = progress or (lambda line: None)
    world = build_world(config)
    photos_folder = folder / PHOTOS_FOLDER
    photos_folder.mkdir(parents=True, exist_ok=True)
    with (folder / REVIEWS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in official_rows(world))
    say(f"mini: {len(world.reviews):,} reviews written")
    files = _write_photos(world, photos_folder, processes, say)
    tasks = label_tasks(world)
    (folder / LABELS_FILE).write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    say(f"mini: {len(tasks):,} labelled pairs written")
    return summarize(world, files, len(tasks))


def official_rows(world: World) -> Iterator[dict[str, object]]:
    """The rows of image_review_all.json, in order."""
    for review in world.reviews:
        yield {
            "business_id": world.restaurants[review.restaurant].business_id,
            "user_id": world.users[review.user].user_id,
            "rating": review.rating,
            "review_text": review.text,
            "pics": [{"id": photo.photo_id, "url": [photo_url(photo.photo_id)]} for photo in review.photos],
        }


def photo_url(photo_id: str) -> str:
    """A URL in the published format; these URLs don't exist."""
    return f"https://lh5.googleusercontent.com/p/{photo_id}=w150-h150-k-no-p"


def photo_order(world: World, review: Review, photo: Photo) -> PhotoOrder:
    """The camera's input for a photo."""
    decor = world.restaurants[review.restaurant].decor
    return PhotoOrder(photo.photo_id, photo.subject, photo.shot, decor, photo.seed, world.config.photo_size)


def _write_photos(world: World, folder: Path, processes: int, say: Callable[[str], None]) -> int:
    """Draw and save every photo but the expired ones; returns the number of files."""
    shown = {photo.photo_id: (review, photo) for review in world.reviews for photo in review.photos}
    orders = [photo_order(world, *pair) for pair in shown.values() if pair[1].fault != "expired"]
    truncated = {photo.photo_id for _, photo in shown.values() if photo.fault == "truncated"}
    for done, (photo_id, data) in enumerate(_drawn(orders, processes), 1):
        whole = data if photo_id not in truncated else data[: len(data) * 2 // 5]
        (folder / f"{photo_id}.jpg").write_bytes(whole)
        if done % 1000 == 0:
            say(f"mini: {done:,} of {len(orders):,} photos drawn")
    return len(orders)


def _drawn(orders: list[PhotoOrder], processes: int) -> Iterable[tuple[str, bytes]]:
    if processes <= 1 or len(orders) < FEW_PHOTOS:
        yield from map(_draw, orders)
        return
    # Spawned, not forked: the caller may hold threads of torch or Ray.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_draw, orders, chunksize=CHUNK)


def _draw(order: PhotoOrder) -> tuple[str, bytes]:
    return order.photo_id, photo_bytes(order)
