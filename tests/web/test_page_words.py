"""The page's words: they stream in, can be asked for again, changed and rated; every failure has a way out."""

import json
import re
from typing import Any

import pytest

# isort: split
# First, as it skips the file where there is no browser.
from tests.web.page_helpers import RICH, choose_first, made, make, streamed

# isort: split
from playwright.sync_api import Page, Route, expect

from serve_apps.api.feedback import FeedbackStore
from showcases.storage.artifacts import Workspace

pytestmark = pytest.mark.ray
SHOWCASES = "**/v1/showcases"
RECORD = """() => {
  window.came = [];
  new MutationObserver((records) => records.forEach((record) => record.addedNodes.forEach((node) => {
    if (record.target.className === "draft") window.came.push(node.data);
    else if (node.querySelector?.("figure") || node.className === "photos") window.came.push("PHOTOS");
  }))).observe(document.getElementById("showcase"), { childList: true, subtree: true });
}"""


def refuse(page: Page, status: int, path: str = SHOWCASES, **headers: str) -> None:
    """The service refuses once, as a problem, then is itself again."""
    body = json.dumps({"title": "", "status": status, "detail": f"refused with {status}", "request_id": "0"})
    page.route(path, lambda route: route.fulfill(status=status, body=body, headers=headers), times=1)


def kept(workspace: Workspace) -> list[dict[str, Any]]:
    return list(FeedbackStore(workspace).rows())


def test_photos_come_first_then_the_words_piece_by_piece(page: Page) -> None:
    choose_first(page)
    page.evaluate(RECORD)
    make(page)
    expect(page.locator("#showcase .foot")).to_be_visible()
    events = streamed(page)
    pieces = [data["piece"] for name, data in events if name == "text"]
    assert len(pieces) > 1
    assert page.evaluate("window.came") == ["PHOTOS", *pieces]
    expect(page.locator(".draft")).to_have_count(0)  # the sentences have taken its place
    said = [sentence["text"] for sentence in events[-1][1]["sentences"]]
    expect(page.locator("#status")).to_have_text(f"Showcase ready: 3 photos, {len(said)} sentences. {' '.join(said)}")


def test_a_new_request_ends_the_one_before(page: Page) -> None:
    choose_first(page)
    page.route(SHOWCASES, lambda route: None, times=1)  # never answered
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/v1/showcases")):
        make(page)
        expect(page.locator("#loading")).to_be_visible()
        page.locator("#businesses .pick").nth(1).click()
        make(page)
    expect(page.locator(RICH)).to_have_count(3)
    expect(page.locator("#showcase .foot")).to_be_visible()
    expect(page.locator("#stage")).to_have_attribute("aria-busy", "false")


def test_the_dial_asks_again_and_goes_back_to_the_models_own(page: Page) -> None:
    choose_first(page)
    made(page)
    slider = page.get_by_role("slider", name="From more variety to more to my taste")
    expect(slider).to_have_attribute("aria-valuetext", "the model's own, 3")
    expect(slider).to_have_value("3")  # where a first turn begins
    slider.focus()
    with page.expect_request(SHOWCASES) as asked:
        page.keyboard.press("Home")
    assert asked.value.post_data_json["theta"] == 0
    expect(page).to_have_url(re.compile(r"theta=0$"))
    expect(slider).to_be_focused()
    with page.expect_request(SHOWCASES) as asked:
        page.get_by_role("button", name="Reset").click()
    assert "theta" not in asked.value.post_data_json
    expect(page.locator("#theta-now")).to_have_text("the model's own, 3")


def test_wishes_are_sent_and_choose_among_candidates(page: Page) -> None:
    choose_first(page)
    page.get_by_text("Wishes for the text").click()
    page.get_by_label("Words to have").fill("gazpacho")
    page.get_by_label("Words to leave out").fill("cheap, loud")
    page.get_by_label("Tone").select_option("brief")
    page.get_by_label("Only what a photo shows").check()
    with page.expect_request(SHOWCASES) as asked:
        make(page)
    body = asked.value.post_data_json
    wanted = {"include": ["gazpacho"], "exclude": ["cheap", "loud"], "tone": "brief", "supported_only": True, "n": 3}
    assert wanted.items() <= body.items()
    expect(page.locator("#showcase")).to_contain_text("It does not have: gazpacho.")


def test_other_texts_can_be_chosen_by_keyboard(page: Page) -> None:
    choose_first(page)
    answer = made(page)
    other = {
        **answer,
        "sentences": [{**answer["sentences"][0], "text": "Quite another text."}],
        "request_id": "another",
    }
    page.route(SHOWCASES, lambda route: route.fulfill(json={**answer, "alternatives": [other]}), times=1)
    with page.expect_request(SHOWCASES) as asked:
        page.get_by_role("button", name="Other texts").click()
    assert asked.value.post_data_json["n"] == 3 and asked.value.post_data_json["seed"] > 0
    first = page.get_by_role("radio", name="Text 1")
    expect(first).to_be_checked()
    expect(page.locator(".others .pick")).to_have_count(2)  # the text that was there is offered once
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".sentences")).to_contain_text("Quite another text.")
    with page.expect_request(SHOWCASES) as again:  # the service itself, with another seed
        page.get_by_role("button", name="Other texts").click()
    assert again.value.post_data_json["seed"] > asked.value.post_data_json["seed"]
    expect(page.locator(".others .pick").nth(1)).to_contain_text("soup")


def test_an_edit_and_a_rating_are_kept_in_the_workspace(page: Page, tiny_workspace: Workspace) -> None:
    choose_first(page)
    answer = made(page)
    before = len(kept(tiny_workspace))
    page.get_by_role("radio", name="4 of 5").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Rate", exact=True).click()
    expect(page.locator(".thanks")).to_have_text("Thank you: 4 of 5 is kept.")
    page.get_by_role("button", name="Edit the text").click()
    area = page.get_by_label("The text in your words")
    expect(area).to_be_focused()
    page.keyboard.press("Escape")
    expect(area).to_have_count(0)
    page.keyboard.press("Enter")  # the focus went back to where it was
    area.fill("The soup was <b>warm</b>.")
    refuse(page, 503, "**/v1/feedback")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("refused with 503")
    expect(area).to_have_value("The soup was <b>warm</b>.")  # nothing is lost
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".thanks")).to_have_text("Thank you: your words are kept.")
    expect(page.locator(".sentences li")).to_have_text("The soup was <b>warm</b>.")
    rows = {row["request_id"]: row for row in kept(tiny_workspace) if "edited_text" in row}
    assert len(kept(tiny_workspace)) == before + 2
    row = rows[answer["request_id"]]
    assert row["edited_text"] == "The soup was <b>warm</b>."
    assert row["text"] == " ".join(sentence["text"] for sentence in answer["sentences"])
    assert row["photo_ids"] == [photo["photo_id"] for photo in answer["photos"]]
    assert any(row.get("rating") == 4 and row["request_id"] == answer["request_id"] for row in kept(tiny_workspace))


def test_a_stream_that_breaks_off_leaves_what_came(page: Page) -> None:
    choose_first(page)

    def cut(route: Route) -> None:
        whole = route.fetch().text()
        route.fulfill(body=whole[: whole.index("event: showcase")], content_type="text/event-stream")

    page.route(SHOWCASES, cut, times=1)
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("The answer broke off before it was whole.")
    expect(page.locator(RICH)).to_have_count(3)
    expect(page.locator(".draft")).to_contain_text("soup")
    expect(page.locator(".note")).to_have_text("This showcase is incomplete.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#showcase .foot")).to_be_visible()
    expect(page.locator(".note").first).not_to_have_text("This showcase is incomplete.")


def test_a_problem_in_the_stream_is_told(page: Page) -> None:
    choose_first(page)
    told = json.dumps({"title": "", "status": 500, "detail": "the generator fell over", "request_id": "0"})
    page.route(SHOWCASES, lambda route: route.fulfill(body=f"event: problem\ndata: {told}\n\n"), times=1)
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("the generator fell over")
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()


def test_a_service_that_is_gone_is_said_and_can_be_asked_again(page: Page) -> None:
    choose_first(page)
    page.route(SHOWCASES, lambda route: route.abort("connectionrefused"), times=1)
    make(page)
    expect(page.get_by_role("alert")).to_contain_text("The service can't be reached")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(RICH)).to_have_count(3)
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_waited_for(page: Page, status: int) -> None:
    page.clock.install()
    choose_first(page)
    refuse(page, status, **{"Retry-After": "7"})
    make(page)
    expect(page.get_by_role("alert")).to_contain_text(f"refused with {status}")
    page.clock.run_for(3000)
    expect(page.get_by_role("button", name="Try again in 4 s")).to_be_disabled()
    page.clock.run_for(4500)
    page.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator(RICH)).to_have_count(3)


def test_a_key_is_asked_for_and_kept_in_this_tab_only(page: Page) -> None:
    choose_first(page)
    refuse(page, 401)
    make(page)
    field = page.get_by_label("Key of the service")
    expect(field).to_be_focused()
    field.fill("sc_one_secret")
    with page.expect_request(SHOWCASES) as asked:
        page.keyboard.press("Enter")
    assert asked.value.headers["authorization"] == "Bearer sc_one_secret"
    photo = page.locator(f"{RICH} img").first
    expect(photo).to_have_attribute("src", re.compile("^data:image/jpeg"))  # an <img> sends no key
    assert page.evaluate("Object.values(sessionStorage)") == ["sc_one_secret"]
    assert page.evaluate("localStorage.length") == 0 and page.evaluate("document.cookie") == ""
    assert "sc_one" not in page.url


def test_every_control_has_a_name(page: Page) -> None:
    choose_first(page)
    page.get_by_text("Wishes for the text").click()
    made(page)
    page.get_by_role("button", name="Edit the text").click()
    nameless = """all => all.filter(e => !(e.getAttribute("aria-label") || e.innerText?.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    assert page.eval_on_selector_all("button, input, select, textarea, summary, a", nameless) == []
    assert page.eval_on_selector_all("img", "all => all.filter(e => !e.hasAttribute('alt')).length") == 0
    numbers = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(numbers) == len(set(numbers))
    for role, name in (("slider", "taste"), ("combobox", "Tone"), ("combobox", "Photos"), ("checkbox", "photo shows")):
        expect(page.get_by_role(role, name=name)).to_be_visible()
