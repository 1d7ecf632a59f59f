"""The pictures: every subject can be drawn and told apart, by a simple classifier well but not perfectly."""

import numpy as np
import pytest
from PIL import Image

from showcases_demo.drawing.camera import PAINTERS, SCENE_PAINTERS, PhotoOrder, take_photo
from showcases_demo.drawing.tableware import HUES, PLATES, TABLES
from showcases_demo.menu import DISHES, SCENES, Subject
from showcases_demo.model import Decor, Shot
from showcases_demo.people import COLORS, PROPS, choose
from showcases_demo.people import PLATES as PLATE_NAMES
from showcases_demo.people import TABLES as TABLE_NAMES

SUBJECTS = [Subject("dish", name, variant) for name in DISHES for variant in DISHES[name].variants]
SUBJECTS += [Subject("scene", name) for name in SCENES]


def order(subject: Subject, seed: int, size: int = 48) -> PhotoOrder:
    """A photo by some user in some restaurant."""
    rng = np.random.default_rng([seed, 99])
    decor = Decor("Luna", *(choose(rng, names) for names in (COLORS, COLORS, PLATE_NAMES, TABLE_NAMES)))
    shot = Shot(
        *(float(rng.uniform(*span)) for span in ((-1, 1), (0.8, 1.15), (0, 1), (0.82, 1.3))), choose(rng, PROPS)
    )
    return PhotoOrder("id", subject, shot, decor, seed, size)


def features(image: Image.Image) -> np.ndarray:
    """Colours on a coarse grid of the middle, and how rough each cell is."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.asarray(image.crop((left, top, left + side, top + side)).resize((48, 48)), dtype=float) / 255
    cells = pixels.reshape(6, 8, 6, 8, 3)
    return np.concatenate([cells.mean(axis=(1, 3)).ravel(), cells.std(axis=(1, 3)).ravel()])


def test_names_agree_between_world_and_painters() -> None:
    assert set(PAINTERS) == set(DISHES)
    assert set(SCENE_PAINTERS) == set(SCENES)
    assert set(COLORS) == set(HUES) and set(PLATE_NAMES) == set(PLATES) and set(TABLE_NAMES) == set(TABLES)


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_subject_is_drawn_and_fills_the_frame(subject: Subject) -> None:
    image = take_photo(order(subject, seed=1))
    assert image.mode == "RGB" and min(image.size) == 48
    pixels = np.asarray(image, dtype=float)
    assert pixels.std() > 15
    assert 40 < pixels.mean() < 225


def test_a_variant_changes_the_picture() -> None:
    for name, dish in DISHES.items():
        pictures = [take_photo(order(Subject("dish", name, variant), seed=2)) for variant in dish.variants]
        for other in pictures[1:]:
            gap = np.abs(np.asarray(pictures[0], dtype=float) - np.asarray(other, dtype=float))
            assert (gap.max(axis=2) > 40).mean() > 0.02, name


def test_subjects_can_be_told_apart_but_not_by_colour_alone() -> None:
    names = sorted({subject.name for subject in SUBJECTS})
    shots, rows = 18, []
    for number, name in enumerate(names):
        versions = [subject for subject in SUBJECTS if subject.name == name]
        for k in range(shots):
            rows.append(features(take_photo(order(versions[k % len(versions)], 1000 * number + k))))
    x = np.array(rows)
    y = np.repeat(np.arange(len(names)), shots)
    train = np.tile(np.arange(shots) < 13, len(names))
    mean, scale = x[train].mean(axis=0), x[train].std(axis=0) + 1e-3
    x = (x - mean) / scale
    centroids = np.stack([x[train & (y == label)].mean(axis=0) for label in range(len(names))])
    guess = ((x[~train][:, None] - centroids) ** 2).sum(axis=-1).argmin(axis=1)
    accuracy = (guess == y[~train]).mean()
    assert 8 / len(names) < accuracy < 0.95
