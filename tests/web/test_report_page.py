"""The report in a real Chromium: filtered by model and failure, photos marked by their sentence, nothing asked for."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from serve_apps.screenshot import browser
from serve_apps.screenshot import chromium as installed

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if installed() is None:
    pytest.skip("no chromium is installed", allow_module_level=True)

from playwright.sync_api import Page, expect

from showcases.evaluation.report.gallery import Photo, Sentence, Showcase, Text, data_uri
from showcases.evaluation.report.page import Labels, Report
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.metrics.text import Figure


def photo(name: str) -> Photo:
    file = io.BytesIO()
    Image.new("RGB", (340, 340), "teal").save(file, "JPEG")
    return Photo(name, 0.9, src=data_uri(file.getvalue()))


def entry(user: str, texts: dict[str, list[tuple[str, list[float]]]]) -> Showcase:
    written = [Text(name, [Sentence(*one) for one in said]) for name, said in texts.items()]
    return Showcase(user, "place", [photo("a"), photo("b")], written, "Mine.", [photo("c")], ["Past."])


@pytest.fixture
def report() -> Report:
    good, bad = ("The soup.", [0.9, 0.1]), ("The view.", [0.2, 0.1])
    showcases = [
        entry("user 1", {"img+text": [good], "ST": [("Both.", [0.6, 0.8])]}),
        entry("user 2", {"img+text": [good, bad], "ST": [good]}),
        entry("user 3", {"img+text": [good], "ST": []}),
    ]
    rows = (Row("a system with a long name", {f"metric {n}": [Figure(0.5, 9, "lib")] for n in range(12)}),)
    table = Table("t", "Table", tuple(Column(f"metric {n}") for n in range(12)), rows)
    return Report(
        "Report", "toy", "today", [table], Labels("people", 9, 0.9, 0.8, 0.5, 3), {"reviews": {"empty": 4}}, showcases
    )


@pytest.fixture
def page(report: Report, tmp_path: Path) -> Iterator[Page]:
    """The page of a phone's width; it fails the test if it asked for anything, or a script failed."""
    (tmp_path / "report.html").write_text(report.to_html())
    asked: list[str] = []
    failed: list[str] = []
    with browser() as chromium:
        opened = chromium.new_page(viewport={"width": 390, "height": 844})
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("pageerror", lambda error: failed.append(str(error)))
        opened.goto((tmp_path / "report.html").as_uri())
        yield opened
    assert failed == [] and [url for url in asked if not url.startswith("data:")][1:] == []


def test_the_gallery_can_be_filtered_and_photos_light_up(page: Page) -> None:
    shown = page.locator(".showcase:visible")
    expect(page.locator("output")).to_have_text("3 of 3 users")
    page.get_by_label("Model").select_option("ST")
    assert set(page.locator(".by:visible").evaluate_all("all => all.map(one => one.dataset.model)")) == {"ST"}
    page.get_by_label("only where").check()
    expect(shown).to_have_count(1)  # user 3, for whom ST wrote nothing
    expect(shown).to_contain_text("nothing was written")
    page.get_by_label("Model").select_option("")
    expect(shown).to_have_count(2)
    expect(page.locator("output")).to_have_text("2 of 3 users")
    page.get_by_label("only where").uncheck()
    page.get_by_text("Both.").hover()
    expect(page.locator("figure.cited")).to_have_count(2)
    page.locator("li[data-cites]").nth(2).focus()  # user 2's good sentence, cited by its first photo, by keyboard
    page.mouse.move(0, 0)
    page.locator("li[data-cites]").nth(3).focus()
    expect(page.locator("figure.cited")).to_have_count(1)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390  # wide tables scroll in a box of their own
