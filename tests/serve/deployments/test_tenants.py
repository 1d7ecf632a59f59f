"""What one tenant sends does not exist for another, by every route; what is published both see."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from serve_apps import keys as command
from serve_apps.access.config import AccessConfig
from showcases.catalog import existence_index
from tests.serve.content import Client, jpeg, make_api, tiny_encoder
from tests.unit.catalog.made_up import PHOTOS, write

USER, PLACE, PHOTO = "own-user", "own-place", "own-photo"
KNOWN = {"user_id": "u0", "business_id": "b0"}


def key(root: Path, *options: str) -> str:
    """A new key, as the command prints it."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        command.main(["create", "--root", str(root), *options])
    return out.getvalue().strip()


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Client]:
    """By tenant; acme has sent a user, a photo of a new business, and one of a published business."""
    root = tmp_path_factory.mktemp("tenants")
    write(str(root / "catalog"))
    scopes = ("--scopes", "read,write", "--rate", "1000")
    tokens = {name: key(root, "--tenant", name, *scopes) for name in ("acme", "other")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(existence_index, "FRESH_S", 0.02)
        api = make_api(root / "catalog", tiny_encoder(), AccessConfig(keys=str(root)))
        made = {name: Client(api, token) for name, token in tokens.items()} | {"nobody": Client(api)}
        sent = {"reviews": [{"review_id": "own-review", "business_id": "b1", "text": "Lovely soup."}]}
        assert made["acme"]("PUT", f"/v1/users/{USER}/reviews", json=sent).status_code == 200
        assert made["acme"].put_photos(PLACE, {PHOTO: jpeg()}).status_code == 200
        assert made["acme"].put_photos("b1", {"own-b1": jpeg(1)}).status_code == 200
    return made


ROUTES = [
    ("GET", f"/v1/users/{USER}/reviews", {}),
    ("GET", f"/v1/users/{USER}", {}),
    ("GET", f"/v1/businesses/{PLACE}", {}),
    ("GET", f"/v1/businesses/{PLACE}/photos", {}),
    ("GET", f"/v1/photos/{PHOTO}", {}),
    *(
        ("POST", f"/v1/{route}", body)
        for route in ("selections", "showcases")
        for body in (
            {**KNOWN, "user_id": USER},
            {**KNOWN, "business_id": PLACE},
            {"user_id": "u0", "candidates": [PHOTO]},
        )
    ),
    ("POST", "/v1/explanations", {"user_id": "u0", "photo_ids": [PHOTO]}),
    ("POST", "/v1/explanations", {"user_id": USER, "photo_ids": ["p0"]}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_every_route(clients: dict[str, Client], method: str, path: str, body: dict[str, Any]) -> None:
    options = {"json": body} if body else {}
    models = clients["acme"].api.state.models
    models.queries.clear()
    assert clients["acme"](method, path, **options).status_code == 200
    assert all(query.tenant == "acme" for query in models.queries) and len(models.queries) == bool(body)
    foreign = clients["other"](method, path, **options)
    unknown = clients["other"](method, path.replace("own-", "no-such-"), **_renamed(options))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["detail"].replace("own-", "no-such-") == unknown.json()["detail"]
    assert clients["nobody"](method, path, **options).status_code == 401
    if path.endswith("showcases") and "candidates" not in body:
        streamed = clients["other"].sending(accept="text/event-stream")(method, path, **options)
        assert streamed.status_code == 404


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(one) for one in value]
        return str(value).replace("own-", "no-such-")

    return {"json": {name: other(value) for name, value in options["json"].items()}} if options else {}


def test_a_published_photo_is_the_same_for_all(clients: dict[str, Client]) -> None:
    refused = clients["acme"].put_photos("b1", {"own-b1": jpeg(1), "p1": jpeg(2)})
    assert refused.status_code == 409 and "photo 'p1': a published photo has this id" in refused.json()["detail"]
    published = {row["photo_id"] for row in PHOTOS if row["business_id"] == "b1"}
    for name, photos in (("acme", published | {"own-b1"}), ("other", published)):
        assert set(clients[name]("GET", "/v1/businesses/b1/photos").json()["photo_ids"]) == photos
    own, theirs = (clients[name]("GET", "/v1/photos/p1") for name in ("acme", "other"))
    assert own.content == theirs.content == b"jpeg of p1"
    assert own.headers["cache-control"] == theirs.headers["cache-control"] == "public, max-age=86400, immutable"


def test_two_tenants_may_use_the_same_names(clients: dict[str, Client]) -> None:
    def reviews(name: str) -> list[str]:
        return [row["text"] for row in clients[name]("GET", "/v1/users/twin/reviews").json()["items"]]

    for name in ("acme", "other"):
        sent = {"reviews": [{"review_id": "r", "business_id": "b0", "text": f"By {name}."}]}
        assert clients[name]("PUT", "/v1/users/twin/reviews", json=sent).status_code == 200
    assert (reviews("acme"), reviews("other")) == (["By acme."], ["By other."])
    clients["other"]("PUT", "/v1/users/twin/reviews", json={"reviews": []})
    assert reviews("acme") == ["By acme."]


def test_one_id_in_two_businesses_is_refused_to_one_tenant_alone(clients: dict[str, Client]) -> None:
    refused = clients["acme"].put_photos("b2", {PHOTO: jpeg(3)})
    assert refused.status_code == 409 and f"you uploaded it for the business {PLACE!r}" in refused.json()["detail"]
    assert clients["acme"].put_photos(PLACE, {PHOTO: jpeg()}).status_code == 200  # sent again where it is
    assert clients["other"].put_photos("b2", {PHOTO: jpeg(3)}).status_code == 200
    assert (
        clients["acme"]("GET", f"/v1/photos/{PHOTO}").content != clients["other"]("GET", f"/v1/photos/{PHOTO}").content
    )
    assert clients["other"].put_photos("b2", {}).status_code == 200


def test_a_reader_may_not_send(clients: dict[str, Client], tmp_path: Path) -> None:
    write(str(tmp_path / "catalog"))
    token = key(tmp_path, "--tenant", "acme", "--scopes", "read")
    encoder = clients["acme"].api.state.models.encoder
    reader = Client(make_api(tmp_path / "catalog", encoder, AccessConfig(keys=str(tmp_path))), token)
    for answer in (
        reader.put_photos("b0", {"p": jpeg()}),
        reader("PUT", "/v1/users/u0/reviews", json={"reviews": []}),
    ):
        assert answer.status_code == 403 and "the scope write" in answer.json()["detail"]
