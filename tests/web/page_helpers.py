"""What the tests of the page share: steps that all of them take, and what the service answered."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from serve_apps.screenshot import chromium

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if chromium() is None:
    pytest.skip("no chromium is installed", allow_module_level=True)

from playwright.sync_api import Page, expect

PHONE = {"width": 390, "height": 844}
RICH = "#showcase figure"


def choose_first(page: Page) -> None:
    """The first guest and the first restaurant of the lists."""
    page.locator("#users .pick").first.click()
    page.locator("#businesses .pick").first.click()


def make(page: Page) -> None:
    page.get_by_role("button", name="Make the showcase").click()


def streamed(page: Page) -> list[tuple[str, Any]]:
    """Name and data of each event of the newest showcase; the page's fixture keeps a copy of what it reads."""
    blocks = [block.split("\n") for block in page.evaluate("window.answers.at(-1)").split("\n\n") if block]
    events = [dict(line.split(": ", 1) for line in block) for block in blocks if not block[0].startswith(":")]
    return [(event["event"], json.loads(event["data"])) for event in events]


def made(page: Page) -> Any:
    """Make the showcase, wait until it is whole, and give what the service answered."""
    make(page)
    expect(page.locator("#showcase .foot")).to_be_visible()
    return streamed(page)[-1][1]


def open_showcase(page: Page, service: str, wish: dict[str, Any]) -> Any:
    """Open the page on one showcase; returns what the service answered."""
    query = urlencode({"user": wish["user_id"], "business": wish["business_id"], "k": wish["k"]})
    page.goto(f"{service}/?{query}")
    expect(page.locator("#showcase .foot")).to_be_visible()
    return streamed(page)[-1][1]
