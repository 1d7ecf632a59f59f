"""A browser, and the page as it was opened; imported where Playwright is missing too, so it imports that late."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP = {"width": 1320, "height": 900}
# Chromium does not keep the body of an answer that is read as a stream.
COPY = """
  const asked = window.fetch;
  window.answers = [];
  window.fetch = async (...given) => {
    const answer = await asked(...given);
    if (given[0] === "/v1/showcases") window.answers.push(answer.clone().text().catch(() => ""));
    return answer;
  };
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    from serve_apps.screenshot import browser

    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium: "Browser", service: str) -> Iterator["Page"]:
    """The page at desktop size; it fails the test if anything was asked of another host, or a script failed."""
    from playwright.sync_api import expect

    opened = chromium.new_page(viewport=DESKTOP, reduced_motion="reduce")  # nothing moves under the mouse
    asked: list[str] = []
    failed: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.add_init_script(COPY)
    opened.goto(service)
    expect(opened.locator("#users .pick").first).to_be_visible()
    expect(opened.locator("#businesses .pick").first).to_be_visible()  # the two lists arrive in either order
    yield opened
    opened.close()
    assert failed == []
    assert [url for url in asked if not url.startswith((f"{service}/", "data:"))] == []
    assert any("/v1/photos/" in url for url in asked)
