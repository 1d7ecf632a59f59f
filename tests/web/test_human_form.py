"""A judge's page in a real Chromium: rated by keyboard, closed in the middle, gone on with, downloaded, read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_apps.screenshot import SIZES, browser
from serve_apps.screenshot import chromium as installed

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if installed() is None:
    pytest.skip("no chromium is installed", allow_module_level=True)

from playwright.sync_api import Browser, BrowserContext, Page, expect

from showcases.evaluation.human.answers import collect
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.forms import forms
from showcases.evaluation.human.key import Study
from showcases.evaluation.human.plan import plan
from showcases.evaluation.human.questions import NAMES
from tests.unit.evaluation.human_fixtures import MODELS, make_photos, make_subjects


@pytest.fixture(scope="module")
def study() -> Study:
    return plan(make_subjects(3), MODELS, StudyConfig())


@pytest.fixture(scope="module")
def address(study: Study, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("form") / "judge-2.html"
    path.write_bytes(forms(study, make_photos(make_subjects(3)), 48)["judge-2.html"])
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def device(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser that keeps its storage over the test; it fails the test if anything was asked or a script failed."""
    width, height = SIZES["phone"]
    context = chromium.new_context(viewport={"width": width, "height": height})
    asked: list[str] = []
    failed: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: failed.append(str(error.error)))
    yield context
    context.close()
    assert failed == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def opened(device: BrowserContext, address: str) -> Page:
    page = device.new_page()
    page.goto(address)
    return page


def chosen(page: Page) -> list[str]:
    return page.eval_on_selector_all("input:checked", "found => found.map(e => e.name + e.value)")


def test_rated_by_keyboard_closed_in_the_middle_downloaded_and_read(
    device: BrowserContext, address: str, study: Study, tmp_path: Path
) -> None:
    items = study.of_judge(2)
    wanted = {item.token: {NAMES[0]: 1 + n % 5, NAMES[1]: 5 - n % 5} for n, item in enumerate(items)}
    page = opened(device, address)
    page.get_by_role("button", name="Begin").press("Enter")
    for number, item in enumerate(items[:3]):
        expect(page.locator("#text")).to_have_text(item.text)
        expect(page.locator("#photos img")).to_have_count(3)
        page.keyboard.press(str(1 + number % 5))
        page.keyboard.press("Enter")  # too early: it stays
        expect(page.locator(".missing")).to_have_count(1)
        page.keyboard.press(str(5 - number % 5))
        page.keyboard.press("Enter")
    page.keyboard.press("4")  # half an answer is kept, too
    page.close()

    page = opened(device, address)
    expect(page.locator("#progress-text")).to_have_text(f"3 of {len(items)} rated")
    expect(page.locator("#text")).to_have_text(items[3].text)
    assert chosen(page) == [f"{NAMES[0]}4"]
    page.keyboard.press("Backspace")
    assert chosen(page) == [f"{name}{wanted[items[2].token][name]}" for name in NAMES]
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Skip for now").click()
    for item in items[4:]:
        for name in NAMES:
            page.locator(f'input[name="{name}"][value="{wanted[item.token][name]}"]').check()
        page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="1 left")).to_be_visible()
    page.get_by_role("button", name="To the first one left").click()
    page.keyboard.press("5")  # question two is the open one
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="All rated, thank you")).to_be_visible()

    with page.expect_download() as download:
        page.locator("#download-end").click()
    assert download.value.suggested_filename == "answers-judge-2.json"
    path = tmp_path / "answers.json"
    download.value.save_as(path)
    assert json.loads(path.read_text())["judge"] == 2
    collected = collect(study, [path])
    assert collected.ratings == wanted | {items[3].token: {NAMES[0]: 4, NAMES[1]: 5}}
    assert collected.faults == {} and {item.judge for item, _ in collected.missing()} == {1, 3}


def test_radio_groups_are_named_and_fit_a_phone(device: BrowserContext, address: str) -> None:
    page = opened(device, address)
    page.get_by_role("button", name="Begin").click()
    group = page.get_by_role("group", name="How expressive is the text?")
    expect(group.get_by_role("radio")).to_have_count(5)
    group.get_by_role("radio", name="1 poor").focus()
    page.keyboard.press("ArrowRight")  # as in any radio group
    expect(group.get_by_role("radio", name="2 weak")).to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = page.get_by_role("button", name="Next").bounding_box()
    assert box is not None and box["height"] >= 44  # px, for a thumb
