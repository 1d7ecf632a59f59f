"""Figures 3 and 6: counted by hand, and a picture that can be opened."""

import io

import pytest
from PIL import Image

from showcases.evaluation.report.figures import figure_3, figure_6a, figure_6b
from showcases.evaluation.systems import GROUND_TRUTH
from showcases.metrics.coverage import ContentWords

TRUTH = ["Tasty spicy ramen", "Friendly waiter", "it was"]


def values(table, name: str) -> list[float | None]:
    row = next(row for row in table.rows if row.name == name)
    return [row.value(column.name)[0] for column in table.columns]


def words(count: int) -> str:
    return " ".join(["word"] * count)


def opened(picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.png))
    image.load()
    return image


def test_lengths_fall_into_bins_of_ten_words() -> None:
    # 0 and 10 words: the first bin; 11 and 20 the second; 60 the sixth, 61 the last
    said = [words(n) for n in (0, 10, 11, 20, 60, 61, 99, 5)]
    table, picture = figure_6a({GROUND_TRUTH: [said], "ours": [[words(5)] * 4, [words(15)] * 2 + [words(1)] * 2]})
    assert [column.name for column in table.columns][:2] == ["1–10", "11–20"] and len(table.columns) == 7
    assert values(table, GROUND_TRUTH) == [3 / 8, 2 / 8, 0, 0, 0, 1 / 8, 2 / 8]
    assert values(table, "ours")[:3] == [0.75, 0.25, 0]  # mean of 100 % and 50 %, of 0 and 50 %
    assert table.cell(table.rows[1], table.columns[0]) == "75.00 ± 35.36"
    assert min(opened(picture).size) > 400


def test_coverage_is_of_the_ground_truths_own_words() -> None:
    texts = {GROUND_TRUTH: [TRUTH], "ours": [["Spicy soup", "a friendly waiter", "ramen"]], "none": [["", "", ""]]}
    table, picture = figure_6b(texts, ContentWords())
    # tasty, spicy, ramen: 1 of 3; friendly, waiter: 2 of 2; the third text has no keyword and counts for nothing
    assert values(table, "ours") == [pytest.approx((1 / 3 + 1) / 2)] and values(table, "none") == [0.0]
    assert [row.name for row in table.rows] == ["ours", "none"] and "no tagger" in table.notes[0]
    assert min(opened(picture).size) > 400


def test_coverage_stands_apart_by_part_of_speech() -> None:
    class Tagged:
        name = "tags by hand"

        def __call__(self, texts):
            known = {"nouns": {"ramen", "waiter"}, "adjectives": {"tasty", "spicy", "friendly"}, "adverbs": {"very"}}
            return [{part: set(text.lower().split()) & found for part, found in known.items()} for text in texts]

    table, _ = figure_6b({GROUND_TRUTH: [TRUTH], "ours": [["ramen", "friendly waiter", "x"]]}, Tagged())
    # nouns 1/1 and 1/1; adjectives 0/2 and 1/1; no adverb anywhere
    assert values(table, "ours") == [1.0, 0.5, None]


def test_figure_3_shows_what_build_gest_counted() -> None:
    sets = {name: {"intra_business": 0.4, "inter_user": 0.5, "intra_user": 0.1 * n, "images": 7} for n, name in
            enumerate(("raw", "s1", "s2"))}  # fmt: skip
    table, picture = figure_3(sets)
    assert [column.name for column in table.columns] == ["intra_business", "inter_user", "intra_user"]
    assert values(table, "s2") == [0.4, 0.5, 0.2]
    assert picture.name == table.name == "figure_3" and opened(picture).width > 400
