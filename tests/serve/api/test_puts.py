"""New content through the real routes, protection and catalog: what is kept, what is refused, and at what cost."""

import asyncio
import io
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from serve_apps.access.config import AccessConfig, Limits, QueueLimits
from showcases.catalog import existence_index
from showcases.clip import ClipEncoder
from tests.serve.content import Client, form, jpeg, make_api, tiny_encoder
from tests.unit.catalog.made_up import write

FORM = "multipart/form-data; boundary=x"
SMALL = Limits(image_bytes=20_000, image_pixels=10_000, upload_photos=3, upload_bytes=50_000)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existence_index, "FRESH_S", 0.02)


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return tiny_encoder()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("content"))
    write(place)
    return place


@pytest.fixture(scope="module")
def api(uri: str, encoder: ClipEncoder) -> FastAPI:
    return make_api(uri, encoder, AccessConfig(limits=SMALL))


@pytest.fixture
def client(api: FastAPI) -> Client:
    return Client(api)


def review(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"review_id": name, "business_id": "b0", "text": text, **more}


def test_reviews_are_kept_with_the_feature_of_their_sentences(client: Client, encoder: ClipEncoder) -> None:
    said = ["The soup was lovely. We would go again!", "?!", "Great ramen.", ""]
    sent = [review(f"r{number}", text) for number, text in enumerate(said)]
    sent[2]["rating"] = 4.5
    for _ in range(2):  # again, and nothing changes
        answer = client("PUT", "/v1/users/fresh/reviews", json={"reviews": sent})
        told = answer.json()
        assert answer.status_code == 200 and (told["kept"], told["with_feature"]) == (4, 2)
        assert told["without_feature"] == ["r1", "r3"] and told["user_id"] == "fresh"
        rows = {row["review_id"]: row for row in client("GET", "/v1/users/fresh/reviews").json()["items"]}
        assert [rows[f"r{number}"]["text"] for number in range(4)] == said
        assert [rows[name]["rating"] for name in ("r0", "r2")] == [None, 4.5]
    kept = client.api.state.models.look_up.catalog.reviews_of_user("fresh", "local")
    parts = encoder.encode_text(["The soup was lovely.", "We would go again!"]).sum(0)
    feature = kept.vectors[kept.ids.index("r0")]
    np.testing.assert_allclose(feature, parts / np.linalg.norm(parts), atol=2e-3)
    assert [kept.embedded[kept.ids.index(f"r{number}")] for number in range(4)] == [True, False, True, False]
    assert client("PUT", "/v1/users/fresh/reviews", json={"reviews": []}).json()["kept"] == 0
    assert client("GET", "/v1/users/fresh/reviews").status_code == 404


@pytest.mark.parametrize(
    ("reviews", "says"),
    [
        ([review("a", "A."), review("a", "B.")], "review 'a' occurs twice"),
        ([review("a", "A.", rating=6)], "rating"),
        ([review("a", "a" * 8001)], "text"),
        ([review("a", "A.", stars=4)], "stars"),
        ([{"review_id": "a", "text": "A."}], "business_id"),
        ([review("a\x00", "A.")], "printable"),
        ([review(f"r{number}", "A.") for number in range(301)], "at most 300"),
    ],
)
def test_reviews_that_can_not_be_kept_change_nothing(client: Client, reviews: list[dict], says: str) -> None:
    assert client("PUT", "/v1/users/steady/reviews", json={"reviews": [review("old", "Old.")]}).status_code == 200
    answer = client("PUT", "/v1/users/steady/reviews", json={"reviews": reviews})
    assert answer.status_code == 422 and says in answer.json()["detail"], answer.text
    assert [row["review_id"] for row in client("GET", "/v1/users/steady/reviews").json()["items"]] == ["old"]


def test_photos_are_kept_as_they_are_shown(client: Client, encoder: ClipEncoder) -> None:
    files = {"first": jpeg(1), "AF1Qip=second": jpeg(2, "PNG"), "third": jpeg(3, "WEBP")}
    answer = client.put_photos("fresh-place", files)
    assert answer.status_code == 200 and answer.json()["photo_ids"] == list(files)
    assert sorted(client("GET", "/v1/businesses/fresh-place/photos").json()["photo_ids"]) == sorted(files)
    kept = client.api.state.models.look_up.catalog.photos_of_business("fresh-place", "local")
    for name, data in files.items():
        shown = client("GET", f"/v1/photos/{name}")
        assert shown.headers["content-type"] == "image/jpeg" and shown.headers["cache-control"] == "private, no-cache"
        picture, sent = Image.open(io.BytesIO(shown.content)), Image.open(io.BytesIO(data))
        assert picture.format == "JPEG" and picture.size == sent.size
        assert sent.getexif().get_ifd(0x8825) and not picture.getexif()
        assert b"CameraMaker" in data and b"CameraMaker" not in shown.content
        if name == "first":
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(sent))
        vectors, _ = encoder.encode_images([shown.content])
        np.testing.assert_allclose(kept.vectors[kept.ids.index(name)], vectors[0], atol=2e-3)
    assert client("GET", "/v1/photos/p1").headers["cache-control"].startswith("public")


def test_a_put_replaces_and_an_empty_one_takes_back(client: Client) -> None:
    place = "/v1/businesses/changing/photos"
    client.put_photos("changing", {"one": jpeg(1), "two": jpeg(2)})
    named = [("photos", ("two", jpeg(5), "image/jpeg")), ("photos", ("dish.jpg", jpeg(6), "image/jpeg"))]
    assert client("PUT", place, files=named).json()["photo_ids"] == ["two", "dish.jpg"]
    assert sorted(client("GET", place).json()["photo_ids"]) == ["dish.jpg", "two"]
    shown = np.asarray(Image.open(io.BytesIO(client("GET", "/v1/photos/two").content)))
    np.testing.assert_array_equal(shown, np.asarray(Image.open(io.BytesIO(jpeg(5)))))
    assert client("GET", "/v1/photos/one").status_code == 404
    for nothing in (b"", b"--x--\r\n"):
        client.put_photos("changing", {"one": jpeg(1)})
        answer = client.sending(content_type=FORM)("PUT", place, content=nothing)
        assert (answer.status_code, answer.json()["kept"]) == (200, 0), answer.text
        assert client("GET", place).status_code == 404


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 400 million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def part(name: str, data: bytes, more: str = '; filename="f"') -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (part("good", jpeg()) + part("bad", jpeg()[:900]) + b"--x--\r\n", 422, "photo 'bad': the JPEG is cut off"),
        (part("good", jpeg()) + part("bad", bomb()) + b"--x--\r\n", 422, "photo 'bad': the image"),
        (part("good", jpeg()) + part("bad", jpeg(size=(101, 100))) + b"--x--", 422, "photo 'bad': the image is 101"),
        (part("good", jpeg()) + part("bad", jpeg(kind="GIF")) + b"--x--", 415, "photo 'bad': not an image"),
        (part("good", jpeg()) + part("bad", b"GIF89a" + b"<svg/>") + b"--x--", 415, "photo 'bad'"),
        (part("good", jpeg()) + part("bad", jpeg() + b"a" * 20_000) + b"--x--", 413, "photo 'bad': the image has"),
        (b"".join(part(f"p{n}", jpeg(n)) for n in range(4)) + b"--x--", 413, "more than 3 photos"),
        (part("good", jpeg() + b"a" * 50_000) + b"--x--", 413, "exceeds the limit of 50000 bytes"),
        (part("good", jpeg()) + part("good", jpeg(2)) + b"--x--", 422, "photo 'good' occurs twice"),
        (part("good", jpeg()) + part("user_id", b"u1", "") + b"--x--", 422, "the form field 'user_id' is not a file"),
        (part("good", jpeg()), 422, "the form is truncated"),
        (part("good", jpeg())[:-400], 422, "the form is truncated"),
        (b"nonsense", 422, "the form can't be read"),
        (part("a/b", jpeg()) + b"--x--", 422, "'a/b' is not a photo id"),
        (part("..", jpeg()) + b"--x--", 422, "'..' is not a photo id"),
        (part("photos", jpeg(), '; filename="../../etc"') + b"--x--", 422, "is not a photo id"),
        (part("photos", jpeg(), '; filename=""') + b"--x--", 422, "'' is not a photo id"),
    ],
)
def test_one_photo_that_can_not_be_taken_refuses_all(client: Client, body: bytes, status: int, says: str) -> None:
    client.put_photos("steady-place", {"old": jpeg(9)})
    answer = client.sending(content_type=FORM)("PUT", "/v1/businesses/steady-place/photos", content=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert client("GET", "/v1/businesses/steady-place/photos").json()["photo_ids"] == ["old"]


@pytest.mark.parametrize("kind", ["application/json", "image/jpeg", "multipart/mixed; boundary=x"])
def test_only_forms_are_read(client: Client, kind: str) -> None:
    answer = client.sending(content_type=kind)("PUT", "/v1/businesses/b0/photos", content=jpeg())
    assert answer.status_code == 415 and "send multipart/form-data" in answer.json()["detail"]
    boundless = client.sending(content_type="multipart/form-data")
    answer = boundless("PUT", "/v1/businesses/b0/photos", content=jpeg())
    assert answer.status_code == 422 and "no boundary" in answer.json()["detail"]


def test_what_was_put_outlives_a_restart_and_twenty_at_once(uri: str, encoder: ClipEncoder) -> None:
    def start(waiting: int = 30) -> Client:
        return Client(make_api(uri, encoder, AccessConfig(arrivals=QueueLimits(running=2, waiting=waiting))))

    puts = [
        ("PUT", f"/v1/businesses/busy{n % 10}/photos", {"files": form({f"busy{n % 10}-{n}": jpeg(n)})})
        for n in range(20)
    ]
    first = start()
    assert [answer.status_code for answer in first.together(*puts)] == [200] * 20
    few = start(waiting=3).together(*puts)
    assert {answer.status_code for answer in few} == {200, 503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in few if answer.status_code == 503)
    again = start()
    for n in range(10):
        [left] = again("GET", f"/v1/businesses/busy{n}/photos").json()["photo_ids"]
        assert left in (f"busy{n}-{n}", f"busy{n}-{n + 10}")
        assert again("GET", f"/v1/photos/{left}").status_code == 200


def test_the_bytes_of_all_uploads_under_way_are_bounded(uri: str, encoder: ClipEncoder) -> None:
    limits = Limits(uploads_bytes=10_000)
    api = make_api(uri, encoder, AccessConfig(limits=limits))
    place, kind = "/v1/businesses/bounded/photos", {"content-type": FORM}
    whole = part("slow", jpeg(size=(40, 40))) + b"--x--"
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        yield whole[:100]
        begun.set()
        await go_on.wait()
        yield whole[100:]

    async def scene() -> None:
        transport = httpx.ASGITransport(app=api)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            announced = kind | {"content-length": str(len(whole))}  # held before it comes
            first = asyncio.create_task(client.put(place, content=slow(), headers=announced))
            await begun.wait()
            for content in (b"a" * (10_001 - len(whole)), _pieces(b"a" * 4000, b"a" * (6001 - len(whole)))):
                refused = await client.put(place, content=content, headers=kind)
                assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
            asked = await client.put("/v1/users/u/reviews", json={"reviews": []})  # no upload
            assert asked.status_code == 200
            go_on.set()
            assert (await first).status_code == 200
            later = await client.put(place, content=b"a" * 9000, headers=kind)
            assert later.status_code == 422  # there is room again

    asyncio.run(scene())


async def _pieces(*parts: bytes) -> Any:
    for one in parts:
        yield one
