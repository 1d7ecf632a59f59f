"""The page in a real Chromium against the real service: pick, look, hover, fail, by mouse, by keyboard, on a phone."""

import re
from typing import Any

import httpx
import pytest

# isort: split
# First, as it skips the file where there is no browser.
from tests.web.page_helpers import PHONE, RICH, made, make, open_showcase, streamed

# isort: split
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def partly_cited(service: str) -> dict[str, Any]:
    """A user and a business whose showcase has a sentence that cites some of the photos, not all."""
    places = [row["business_id"] for row in httpx.get(f"{service}/v1/businesses").json()["items"]]
    users = [row["user_id"] for row in httpx.get(f"{service}/v1/users", params={"limit": 40}).json()["items"]]
    for place in places:
        for user in users:
            wish = {"user_id": user, "business_id": place, "k": 5}
            answer = httpx.post(f"{service}/v1/showcases", json=wish, timeout=60).json()
            if any(0 < len(row["photos"]) < len(answer["photos"]) for row in answer["sentences"]):
                return wish
    raise AssertionError("no showcase of the tiny world cites some of its photos")


def expect_photos_drawn(page: Page) -> None:
    for photo in page.locator("#showcase img").all():
        expect(photo).to_have_js_property("complete", True)
        assert photo.evaluate("drawn => drawn.naturalWidth") > 0


def lit(page: Page) -> set[str]:
    return set(page.eval_on_selector_all(f"{RICH}.on", "found => found.map(e => e.dataset.id)"))


def test_pick_somebody_and_a_place_and_see_the_showcase(page: Page) -> None:
    page.locator("#users .pick").nth(1).click()
    page.locator("#businesses .pick").nth(2).click()
    answer = made(page)
    expect(page.locator(RICH)).to_have_count(3)
    expect_photos_drawn(page)
    assert page.eval_on_selector_all(RICH, "all => all.map(e => e.dataset.id)") == [
        photo["photo_id"] for photo in answer["photos"]
    ]
    shown = page.locator(".sentences li")
    expect(shown).to_have_count(len(answer["sentences"]))
    for number, sentence in enumerate(answer["sentences"]):
        expect(shown.nth(number)).to_contain_text(sentence["text"])
    chosen = page.locator('input[name="user"]:checked').get_attribute("value")
    assert chosen is not None and chosen in page.url  # the address can be shared
    assert chosen not in page.locator("#showcase").inner_text()  # ids are shortened


def test_hovering_a_sentence_lights_up_its_photos(page: Page, service: str, partly_cited: dict) -> None:
    answer = open_showcase(page, service, partly_cited)
    for number, sentence in enumerate(answer["sentences"]):
        page.locator(".sentences li").nth(number).hover()
        assert lit(page) == set(sentence["photos"])
    page.mouse.move(2, 2)
    assert lit(page) == set()
    first = answer["photos"][0]["photo_id"]
    page.locator(RICH).first.hover()
    speaking = page.locator(".sentences li.on")
    expect(speaking).to_have_count(sum(first in sentence["photos"] for sentence in answer["sentences"]))


def test_keyboard_alone_is_enough(page: Page, partly_cited: dict) -> None:
    page.locator('input[name="user"]').first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(page.locator('input[name="user"]').nth(1)).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator("#find-business")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator('input[name="business"]').first).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator(".wishes summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#k")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Showcase ready: 3 photos")
    answer = streamed(page)[-1][1]
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".sentences li").first).to_be_focused()
    assert lit(page) == set(answer["sentences"][0]["photos"])


def test_somebody_new_types_a_few_sentences(page: Page) -> None:
    page.get_by_text("Somebody new").click()
    expect(page.locator("#users")).to_be_hidden()
    page.locator("#past").fill("The ramen was rich.\n\nBest pizza in town!!!")
    page.locator("#businesses .pick").first.click()
    with page.expect_request("**/v1/showcases") as asked:
        make(page)
    assert asked.value.post_data_json["past_reviews"] == ["The ramen was rich.", "Best pizza in town!!!"]
    assert "user_id" not in asked.value.post_data_json
    expect(page.locator(RICH)).to_have_count(3)
    expect(page.locator("#showcase")).to_contain_text("a new guest")


def test_somebody_new_may_type_keywords_alone(page: Page) -> None:
    page.get_by_text("Somebody new").click()
    page.get_by_label(re.compile("Favourite dishes")).fill("rooftop terrace,")
    page.get_by_role("button", name="Add: ramen").click()
    page.locator("#businesses .pick").first.click()
    with page.expect_request("**/v1/showcases") as asked:
        make(page)
    assert asked.value.post_data_json["keywords"] == ["rooftop terrace", "ramen"]
    assert not {"past_reviews", "user_id"} & set(asked.value.post_data_json)
    expect(page.locator(RICH)).to_have_count(3)
    expect(page.locator("#showcase")).to_contain_text("Made from 2 keywords, by ")


def test_what_is_missing_is_said(page: Page) -> None:
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("Choose a guest first.")
    page.locator("#users .pick").first.click()
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("Choose a restaurant first.")
    page.get_by_text("Somebody new").click()
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("Write a favourite dish or a sentence")


def test_the_services_refusal_is_shown(page: Page, service: str) -> None:
    page.goto(f"{service}/?user=nobody&business=nowhere")
    expect(page.get_by_role("alert")).to_contain_text("no business 'nowhere' in the catalog")
    expect(page.locator("#showcase")).to_be_hidden()


def test_search_finds_by_id_and_shows_markup_as_text(page: Page, service: str) -> None:
    wanted = httpx.get(f"{service}/v1/users", params={"limit": 40}).json()["items"][17]["user_id"]
    page.locator("#find-user").fill(wanted)
    expect(page.locator("#users .pick")).to_have_count(1)
    assert page.locator('input[name="user"]').get_attribute("value") == wanted
    page.locator("#find-user").fill("<img src=x onerror=alert(1)>")
    expect(page.locator("#users")).to_contain_text("Nothing found for “<img src=x onerror=alert(1)>”")
    assert page.locator("#users img").count() == 0


def test_all_guests_can_be_listed(page: Page, service: str) -> None:
    total = httpx.get(f"{service}/v1/users", params={"limit": 1}).json()["total"]
    rows = page.locator("#users .pick")
    first = min(40, total)
    expect(rows).to_have_count(first)
    more = page.locator("#users .more")
    if total > first:
        expect(more).to_have_text(f"Show more ({first} of {total})")
        more.click()
    expect(rows).to_have_count(total)
    expect(more).to_have_count(0)


def test_it_fits_a_phone(page: Page, service: str, partly_cited: dict) -> None:
    page.set_viewport_size(PHONE)
    open_showcase(page, service, partly_cited)
    expect(page.locator("#showcase h1")).to_be_in_viewport()  # it scrolled down to the result
    page.get_by_role("button", name="Edit the text").click()
    page.locator(".wishes summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for box in page.locator(RICH).all():
        edges = box.bounding_box()
        assert edges is not None and edges["x"] >= 0 and edges["x"] + edges["width"] <= PHONE["width"]
    for control in page.locator("button:visible, select:visible, #theta, summary:visible, .marks label, .tab").all():
        edges = control.bounding_box()
        assert edges is not None and edges["height"] >= 44, control.inner_text()


def test_the_interface_can_be_tried_in_docs(page: Page, service: str) -> None:
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(f"{service}/docs")
    listing = page.locator("#operations-catalog-list_users")
    listing.locator(".opblock-summary").click()
    listing.get_by_role("button", name="Try it out").click()
    listing.locator("[data-param-name=limit] input").fill("1")
    listing.get_by_role("button", name="Execute").click()
    expect(listing.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert f"{service}/v1/users?limit=1" in asked
    assert all(url.startswith((service, "data:")) for url in asked)  # nothing from another site
    assert faults == []
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
