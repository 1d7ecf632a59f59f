"""New content through the running service: whoever sent it is answered with it at once, by the real models."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from tests.serve.content import form, jpeg

pytestmark = pytest.mark.ray


@pytest.fixture
def client(service: str) -> Iterator[httpx.Client]:
    """Takes back what was sent: others use the same service."""
    with httpx.Client(base_url=service, timeout=60) as opened:
        yield opened
        for number in range(4):
            opened.put(f"/v1/businesses/sent-place-{number}/photos")
        opened.put("/v1/users/sent-user/reviews", json={"reviews": []})


def test_a_new_user_and_a_new_business_have_a_showcase_at_once(client: httpx.Client) -> None:
    sent = [
        {"review_id": f"sent-{number}", "business_id": "elsewhere", "text": text}
        for number, text in enumerate(["The tonkotsu ramen was rich.", "Great coffee. Slow service.", "!!"])
    ]
    kept = client.put("/v1/users/sent-user/reviews", json={"reviews": sent})
    assert kept.status_code == 200 and kept.json()["without_feature"] == ["sent-2"]
    pictures = {f"sent-photo-{number}": jpeg(number) for number in range(4)}
    answer = client.put("/v1/businesses/sent-place-0/photos", files=form(pictures))
    assert answer.status_code == 200 and answer.json()["kept"] == 4
    asked = {"user_id": "sent-user", "business_id": "sent-place-0", "k": 3}
    told = client.post("/v1/showcases", json=asked)
    assert told.status_code == 200, told.text
    showcase = told.json()
    chosen = [photo["photo_id"] for photo in showcase["photos"]]
    assert len(set(chosen)) == 3 and set(chosen) <= set(pictures) and showcase["sentences"]
    assert (showcase["past_reviews"], showcase["past_photos"]) == (2, 0)
    shown = client.get(showcase["photos"][0]["url"])
    assert shown.headers["cache-control"] == "private, no-cache"
    assert not Image.open(io.BytesIO(shown.content)).getexif()
    broken = client.put("/v1/businesses/sent-place-0/photos", files=form({"fine": jpeg(), "broken": jpeg()[:900]}))
    assert broken.status_code == 422 and "photo 'broken'" in broken.json()["detail"]
    left = client.get("/v1/businesses/sent-place-0/photos").json()["photo_ids"]
    assert sorted(left) == sorted(pictures)


def test_of_two_businesses_that_get_one_photo_id_at_once_one_does(client: httpx.Client) -> None:
    """And a write under an Idempotency-Key is answered again as it was; both as HTTP clients see them."""
    places = [f"/v1/businesses/sent-place-{number}/photos" for number in (2, 3)]
    with ThreadPoolExecutor(2) as pool:
        for number in range(4):
            files = form({f"contested-{number}": jpeg(number)})
            answers = list(pool.map(lambda place, files=files: client.put(place, files=files), places))
            assert sorted(answer.status_code for answer in answers) == [200, 409], [one.text for one in answers]
            again = [client.put(place, files=files).status_code for place in places]
            assert again == [answer.status_code for answer in answers]
            [problem] = [answer.json() for answer in answers if answer.status_code == 409]
            assert f"photo 'contested-{number}': you uploaded it for the business" in problem["detail"]
            for place in places:
                client.put(place)
    keyed = {"Idempotency-Key": '"contested"'}
    first, second = (client.put(places[0], files=form({"keyed": jpeg()}), headers=keyed) for _ in range(2))
    assert first.status_code == second.status_code == 200 and first.content == second.content
    assert "idempotent-replayed" not in first.headers and second.headers["idempotent-replayed"] == "true"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    other = client.put(places[0], files=form({"keyed": jpeg(1)}), headers=keyed)
    assert other.status_code == 422 and "this key was used for a different request" in other.json()["detail"]
    packed = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and "Accept-Encoding" in packed.headers["vary"]


def test_uploads_and_showcases_at_once(client: httpx.Client) -> None:
    def put(number: int) -> int:
        files = form({f"many-{number % 4}": jpeg(number)})
        return client.put(f"/v1/businesses/sent-place-{number % 4}/photos", files=files).status_code

    place = next(row["business_id"] for row in client.get("/v1/businesses").json()["items"])

    def ask(number: int) -> int:
        return client.post("/v1/selections", json={"keywords": ["ramen"], "business_id": place}).status_code

    with ThreadPoolExecutor(20) as pool:
        puts, asks = pool.map(put, range(20)), pool.map(ask, range(8))
        assert set(puts) == {200} and set(asks) == {200}
    for number in range(4):
        assert client.get(f"/v1/businesses/sent-place-{number}/photos").json()["photo_ids"] == [f"many-{number}"]
