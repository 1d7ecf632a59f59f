"""Listings in pages, one user, one business, over the real routes and a real catalog."""

import base64
import json
from typing import Any

import pytest

from showcases.catalog import Catalog, existence_index, photos_schema, reviews_schema
from tests.serve.content import Client, jpeg, make_api, tiny_encoder
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches

LONG = "\U0001f35c" * 250  # the longest id, in most bytes
MANY = [
    {**PHOTOS[0], "photo_id": f"m{n}", "user_id": f"user-{n}", "review_id": f"m{n}", "business_id": LONG}
    for n in range(491)
]
WROTE = [{**REVIEWS[1], "review_id": f"{n}-{LONG[:250]}", "user_id": LONG} for n in range(230)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    place = tmp_path_factory.mktemp("listings") / "catalog"
    photos, reviews = batches([*PHOTOS, *MANY], photos_schema(DIM)), batches([*REVIEWS, *WROTE], reviews_schema(DIM))
    Catalog.write(str(place), iter(photos), iter(reviews), SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(existence_index, "FRESH_S", 0.02)
        yield Client(make_api(place, tiny_encoder()))


def pages(client: Client, path: str, **params: Any) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while cursor is not None:
        answer = client("GET", path, params={**params, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = found[-1]["next_cursor"]
    return found


@pytest.mark.parametrize("limit", [3, 200])
@pytest.mark.parametrize(
    ("path", "rows", "key", "expected"),
    [
        ("/v1/users", "items", "user_id", {row["user_id"] for row in [*PHOTOS, *MANY, *REVIEWS, *WROTE]}),
        ("/v1/businesses", "items", "business_id", {row["business_id"] for row in [*PHOTOS, *MANY]}),
        (f"/v1/users/{LONG}/reviews", "items", "review_id", {row["review_id"] for row in WROTE}),
        (f"/v1/businesses/{LONG}/photos", "photo_ids", None, {row["photo_id"] for row in MANY}),
    ],
    ids=["users", "businesses", "reviews", "photos"],
)
def test_every_row_can_be_listed(
    client: Client, path: str, rows: str, key: str | None, expected: set[str], limit: int
) -> None:
    if limit == 3 and len(expected) > 300:
        limit = 97
    found = pages(client, path, limit=limit)
    names = [row[key] if key else row for page in found for row in page[rows]]
    assert len(names) == len(expected) and set(names) == expected
    assert {page["total"] for page in found} == {len(expected)}
    assert all(len(page[rows]) == limit for page in found[:-1])


def test_a_search_is_paged_and_counted(client: Client) -> None:
    found = pages(client, "/v1/users", query="USER-4", limit=40)
    names = [row["user_id"] for page in found for row in page["items"]]
    assert len(set(names)) == len(names) == found[0]["total"] == 102  # user-4, -40 to -49, -400 to -490


@pytest.mark.parametrize("cursor", ["x", "####", "W10", "bnVsbA", "eyJhIjoxfQ", "MQ", "W1tbW1tb", "A" * 2000])
@pytest.mark.parametrize("path", ["/v1/users", "/v1/businesses/b0/photos"])
def test_a_cursor_that_is_none_is_refused(client: Client, path: str, cursor: str) -> None:
    answer = client("GET", path, params={"cursor": cursor})
    assert answer.status_code == 422 and "cursor: " in answer.json()["detail"]


def test_a_cursor_belongs_to_its_listing_and_query(client: Client) -> None:
    cursor = client("GET", "/v1/users", params={"limit": 3, "query": "user"}).json()["next_cursor"]
    for path, query in (("/v1/users", ""), ("/v1/users", "use"), ("/v1/businesses", "user")):
        answer = client("GET", path, params={"cursor": cursor, "query": query})
        assert answer.status_code == 422 and "not a cursor of this listing" in answer.json()["detail"]
    mark, photos, reviews, _ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    for place in ([-1, reviews, "a"], [10**30, reviews, "a"], [photos, reviews, "a\x00"], [photos, True, "a"]):
        forged = base64.urlsafe_b64encode(json.dumps([mark, *place]).encode()).decode().rstrip("=")
        answer = client("GET", "/v1/users", params={"cursor": forged, "query": "user"})
        assert answer.status_code == 422, answer.text


def test_one_user_and_one_business(client: Client) -> None:
    listed = client("GET", "/v1/users", params={"query": "u2"}).json()["items"][0]
    assert client("GET", "/v1/users/u2").json() == listed
    place = client("GET", "/v1/businesses/b1").json()
    assert place in client("GET", "/v1/businesses").json()["items"]
    assert client.put_photos("b1", {"mine": jpeg()}).status_code == 200
    assert client("GET", "/v1/businesses/b1").json()["photos"] == place["photos"] + 1
    assert client.put_photos("b1", {}).status_code == 200
    for path in ("/v1/users/nobody", "/v1/businesses/nowhere"):
        answer = client("GET", path)
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
