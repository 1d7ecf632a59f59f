"""The running service over HTTP, against the same models called by hand on what the steps wrote."""

import contextlib
import http.client
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from serve_apps.args import ShowcaseArgs
from serve_apps.rollout import models
from serve_apps.rollout.registry import resolve
from serve_apps.run import serving
from showcases.errors import ConfigError
from showcases.selector import Selector
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingTable, review_features

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def client(service: str):
    with httpx.Client(base_url=service, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def reviews(tiny_workspace: Workspace) -> list[dict]:
    return tiny_workspace.read_table("reviews").to_pylist()


@pytest.fixture(scope="module")
def visit(reviews: list[dict], client: httpx.Client) -> dict:
    """A review by somebody who wrote about other places too, of a place with enough photos."""
    places = {row["business_id"] for row in client.get("/v1/businesses").json()["items"] if row["photos"] >= 6}
    count = {row["user_id"]: sum(other["user_id"] == row["user_id"] for other in reviews) for row in reviews}
    return next(
        row for row in reviews if count[row["user_id"]] > 2 and row["photo_ids"] and row["business_id"] in places
    )


def post(client: httpx.Client, **body) -> httpx.Response:
    return client.post("/v1/showcases", json=body)


def test_it_is_alive_and_ready_with_the_champions(client: httpx.Client, tiny_workspace: Workspace) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    registry = MlflowClient(ShowcaseArgs(root=tiny_workspace.root).registry_uri)
    for role in ("selector", "generator"):
        champion = registry.get_model_version_by_alias(f"showcases-{role}", "champion")
        assert ready["models"][role] == {
            "name": f"showcases-{role}",
            "version": str(champion.version),
            "alias": "champion",
        }
    assert ready["catalog"]["reviews"] == tiny_workspace.read_table("reviews").num_rows


def test_a_monitor_asks_by_head_and_the_connection_goes_on(service: str) -> None:
    """A body would be read as the next answer's first line."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(service).netloc, timeout=60)) as connection:
        for method in ("HEAD", "GET", "HEAD", "GET"):
            connection.request(method, "/healthz")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200 and answer.getheader("content-length") == "18"
            assert body == (b"" if method == "HEAD" else b'{"status":"alive"}')


def test_photos_are_those_that_the_selector_chooses(
    client: httpx.Client, tiny_workspace: Workspace, reviews: list[dict], visit: dict
) -> None:
    """The kernel's best three by hand, from Parquet instead of the catalog, for the deployment's view of a user."""
    user, business = visit["user_id"], visit["business_id"]
    answer = post(client, user_id=user, business_id=business, k=3).json()
    images = EmbeddingTable.read(tiny_workspace, "image_embeddings")
    sentences = EmbeddingTable.read(tiny_workspace, "sentence_embeddings")
    photos = tiny_workspace.read_table("photos").to_pylist()
    past = [row for row in reviews if row["user_id"] == user and row["business_id"] != business]
    text = np.stack(list(review_features(sentences, [row["review_id"] for row in past]).values())).mean(0)
    posted = [row["photo_id"] for row in photos if row["user_id"] == user and row["business_id"] != business]
    posted = [name for name in posted if name in images]
    candidates = [row["photo_id"] for row in photos if row["business_id"] == business and row["photo_id"] in images]
    profile = np.concatenate([text, images.gather(posted).mean(0)])
    args = ShowcaseArgs(root=tiny_workspace.root)
    selector = Selector.from_pretrained(resolve(args).selector.download())
    vectors = torch.from_numpy(images.gather(candidates))
    with torch.no_grad():
        relevance = selector.relevance(torch.from_numpy(profile)[None], vectors[None])[0]
    expected = dict(zip(candidates, relevance.tolist(), strict=True))
    assert len({photo["photo_id"] for photo in answer["photos"]}) == 3
    for photo in answer["photos"]:
        assert photo["relevance"] == pytest.approx(expected[photo["photo_id"]], rel=1e-3)
    assert _log_det(relevance, vectors, candidates, answer) >= _best_greedy(relevance, vectors, 3) - 1e-3
    assert (answer["past_reviews"], answer["past_photos"]) == (len(past), len(posted))


def _kernel(relevance: torch.Tensor, vectors: torch.Tensor) -> np.ndarray:
    """q_i g_i·g_j q_j + 0.01 on the diagonal, as the method has it."""
    scaled = (relevance[:, None] * vectors).double().numpy()
    return scaled @ scaled.T + 0.01 * np.eye(len(scaled))


def _log_det(relevance: torch.Tensor, vectors: torch.Tensor, names: list[str], answer: dict) -> float:
    rows = [names.index(photo["photo_id"]) for photo in answer["photos"]]
    return float(np.linalg.slogdet(_kernel(relevance, vectors)[np.ix_(rows, rows)])[1])


def _best_greedy(relevance: torch.Tensor, vectors: torch.Tensor, k: int) -> float:
    """Log-determinant of the greedy choice, by trying every next photo."""
    kernel, rows, best = _kernel(relevance, vectors), [], 0.0
    for _ in range(k):
        tried = {
            row: np.linalg.slogdet(kernel[np.ix_([*rows, row], [*rows, row])])[1]
            for row in range(len(kernel))
            if row not in rows
        }
        rows.append(max(tried, key=tried.__getitem__))
        best = tried[rows[-1]]
    return float(best)


def test_sentences_cite_what_the_classifier_says_of_the_fetched_photos(
    client: httpx.Client, tiny_workspace: Workspace, visit: dict
) -> None:
    args = ShowcaseArgs(root=tiny_workspace.root)
    encoder, classifier = models.load_encoder(args), models.load_classifier(args)
    answer = post(client, user_id=visit["user_id"], business_id=visit["business_id"], k=5).json()
    assert answer["sentences"]
    jpegs = [client.get(photo["url"]).content for photo in answer["photos"]]
    vectors, errors = encoder.encode_images(jpegs)
    assert errors == [None] * 5
    for sentence in answer["sentences"]:
        text = np.repeat(encoder.encode_text([sentence["text"]]), 5, axis=0)
        scores = classifier.score(text, vectors)
        assert sentence["score"] == pytest.approx(scores.max(), abs=0.03)
        for photo, score in zip(answer["photos"], scores, strict=True):
            if abs(score - classifier.threshold) > 0.03:
                assert (photo["photo_id"] in sentence["photos"]) == (score > classifier.threshold)


def test_fewer_photos_are_the_first_of_more(client: httpx.Client, visit: dict) -> None:
    wish = {"user_id": visit["user_id"], "business_id": visit["business_id"]}
    five = [photo["photo_id"] for photo in post(client, **wish, k=5).json()["photos"]]
    for k in range(1, 5):
        assert [photo["photo_id"] for photo in post(client, **wish, k=k).json()["photos"]] == five[:k]


def test_somebody_new_is_known_by_what_they_write(client: httpx.Client, visit: dict, reviews: list[dict]) -> None:
    business = visit["business_id"]
    texts = [row["text"] for row in reviews[:2]]
    one, other = (post(client, past_reviews=[text], business_id=business).json() for text in texts)
    assert one["past_reviews"] == 1 and one["past_photos"] == 0 and len(one["photos"]) == 3
    assert [photo["relevance"] for photo in one["photos"]] != [photo["relevance"] for photo in other["photos"]]
    assert post(client, past_reviews=[texts[0]], business_id=business).json()["photos"] == one["photos"]


def test_keywords_make_the_text_part_of_a_profile(client: httpx.Client, tiny_workspace: Workspace, visit: dict) -> None:
    """Relevance by hand from the encoder's vectors of the words; with past reviews they are averaged as one of them."""
    args, words, said = ShowcaseArgs(root=tiny_workspace.root), ["ramen", "rooftop terrace"], "Lovely soup."
    encoder, images = models.load_encoder(args), EmbeddingTable.read(tiny_workspace, "image_embeddings")
    selector = Selector.from_pretrained(resolve(args).selector.download())
    asked = {"keywords": [" ramen", "rooftop terrace", "!!"], "business_id": visit["business_id"], "k": 5}
    for body, texts in ((asked, words), ({**asked, "past_reviews": [said]}, [said, *words])):
        answer = post(client, **body).json()
        text = torch.from_numpy(encoder.encode_text(texts).mean(0))
        vectors = torch.from_numpy(images.gather([photo["photo_id"] for photo in answer["photos"]]))
        with torch.no_grad():
            expected = selector.relevance(torch.cat([text, torch.zeros(images.dim)])[None], vectors[None])[0].tolist()
        assert [photo["relevance"] for photo in answer["photos"]] == pytest.approx(expected, rel=1e-3)
        counts = (answer["keywords"], answer["past_reviews"], answer["past_photos"])
        assert counts == (2, len(texts) - 2, 0) and answer["sentences"]


def test_sentences_that_no_photo_supports_can_be_left_out(client: httpx.Client, visit: dict) -> None:
    left_out = []
    for place in [row["business_id"] for row in client.get("/v1/businesses").json()["items"]][:12]:
        wish = {"user_id": visit["user_id"], "business_id": place, "k": 1}
        everything, some = (post(client, **wish, supported_only=only).json() for only in (False, True))
        said = everything["sentences"]
        assert everything["unsupported"] == 0 and all(row["supported"] == bool(row["photos"]) for row in said)
        kept = [row for row in said if row["supported"]] or sorted(said, key=lambda row: -row["score"])[:1]
        assert some["sentences"] == kept and some["unsupported"] == len(said) - len(kept)
        left_out.append((some["unsupported"], kept[0]["supported"]))
    assert (0, True) in left_out and (1, False) in left_out  # nothing was left out, all but the best one was


def test_batched_answers_equal_single_ones(client: httpx.Client, reviews: list[dict]) -> None:
    """Padding to the longest of a batch changes nothing."""
    places = [row["business_id"] for row in client.get("/v1/businesses").json()["items"]]
    wishes = [
        {"user_id": row["user_id"], "business_id": places[number % len(places)]}
        for number, row in enumerate(reviews[:12])
    ]

    def parts(answer: httpx.Response) -> tuple:
        body = answer.json()
        return [photo["photo_id"] for photo in body["photos"]], [row["text"] for row in body["sentences"]]

    single = [parts(post(client, **wish)) for wish in wishes]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda wish: parts(post(client, **wish)), wishes))
    assert together == single


def test_a_request_keeps_the_id_it_came_with(client: httpx.Client) -> None:
    answer = client.get("/v1/photos/none", headers={"X-Request-ID": "mine-42"})
    assert answer.json()["request_id"] == "mine-42" == answer.headers["x-request-id"]


def test_photos_are_the_corpus_jpegs(client: httpx.Client, tiny_corpus: Path) -> None:
    photo_id = client.get("/v1/businesses?limit=1").json()["items"][0]["photo_ids"][0]
    answer = client.get(f"/v1/photos/{photo_id}")
    assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
    assert answer.content == (tiny_corpus / "photos" / f"{photo_id}.jpg").read_bytes()
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    missing = client.get("/v1/photos/nothing")
    assert missing.status_code == 404 and missing.json()["detail"] == "no photo 'nothing' in the catalog"


def test_choices_and_search(client: httpx.Client, reviews: list[dict]) -> None:
    users = client.get("/v1/users", params={"limit": 200}).json()["items"]
    assert {row["user_id"] for row in users} == {row["user_id"] for row in reviews}
    some = users[3]
    found = client.get("/v1/users", params={"query": some["user_id"]}).json()["items"]
    assert found == [some]
    written = client.get(f"/v1/users/{some['user_id']}/reviews").json()["items"]
    expected = {row["review_id"]: row["text"] for row in reviews if row["user_id"] == some["user_id"]}
    assert {row["review_id"]: row["text"] for row in written} == expected
    pages, cursor = [], ""
    while cursor is not None:
        pages.append(client.get("/v1/users", params={"limit": 7, "cursor": cursor}).json())
        cursor = pages[-1]["next_cursor"]
    assert [row for page in pages for row in page["items"]] == users and {page["total"] for page in pages} == {
        len(users)
    }
    assert client.get(f"/v1/users/{some['user_id']}").json() == some
    place = client.get("/v1/businesses").json()["items"][2]
    assert client.get(f"/v1/businesses/{place['business_id']}").json() == place
    assert client.get("/v1/users", params={"limit": 0}).status_code == 422
    assert client.get("/v1/users/nobody/reviews").status_code == 404


def test_a_second_service_on_the_same_cluster_is_refused(service: str, tiny_workspace: Workspace) -> None:
    args = ShowcaseArgs(root=tiny_workspace.root)
    with pytest.raises(ConfigError, match="already runs on this cluster"), serving(args, port=0):
        pass
    port = int(service.rpartition(":")[2])
    with pytest.raises(ConfigError, match="is not available"), serving(args, port=port):
        pass
