"""Both steps alone, the dial, candidates and wishes, and the stream, against the same models called by hand."""

import json
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from serve_apps.args import ShowcaseArgs
from serve_apps.deployments.generator import CitedSentence, Draft, rank_drafts
from serve_apps.rollout import models
from showcases.generator.rules import mentions
from showcases.selector import SelectorPredictor
from showcases.storage.artifacts import Workspace
from tests.serve.tiny_service import SAID

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(client: httpx.Client) -> str:
    return next(row["business_id"] for row in client.get("/v1/businesses").json()["items"] if row["photos"] >= 6)


@pytest.fixture(scope="module")
def person(client: httpx.Client) -> str:
    return next(row["user_id"] for row in client.get("/v1/users").json()["items"] if row["reviews"] > 2)


def ask(client: httpx.Client, path: str, **body) -> dict:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(answer: dict) -> list[str]:
    return [photo["photo_id"] for photo in answer["photos"]]


def test_the_dial_turns_the_selection(client: httpx.Client, tiny_workspace: Workspace, place: str, person: str) -> None:
    args = ShowcaseArgs(root=tiny_workspace.root)
    catalog = models.open_catalog(args)
    candidates = catalog.photos_of_business(place)
    folder = models.find(args.selector, args.alias, args.registry_uri).download()
    words = {"keywords": ["soup"]}
    profile = SelectorPredictor(folder)
    encoder = models.load_encoder(args)
    features = encoder.encode_text(["soup"])
    from showcases.selector import user_profile

    whole = user_profile(features, np.zeros((0, catalog.dim), np.float32), profile.model.profile)
    batch = {"profile": whole[None], "images": candidates.vectors[None], "n_images": np.array([len(candidates.ids)])}
    seen = set()
    for theta in (0.0, 1.0, 8.0):
        rows = SelectorPredictor(folder, k=4, theta=theta)(batch)["chosen"][0]
        answer = ask(client, "selections", **words, business_id=place, k=4, theta=theta)
        assert names(answer) == [candidates.ids[row] for row in rows if row >= 0]
        seen.add(tuple(names(answer)))
    assert len(seen) > 1 and "sentences" not in answer and answer["timings"]["selection"] > 0
    assert answer["keywords"] == 1 and answer["models"]["selector"]["alias"] == "champion"


def test_a_pool_of_candidates_stands_in_for_a_business(client: httpx.Client, place: str, person: str) -> None:
    pool = client.get(f"/v1/businesses/{place}/photos").json()["photo_ids"]
    assert len(pool) >= 6
    answer = ask(client, "selections", user_id=person, candidates=pool[:4], k=3)
    assert set(names(answer)) <= set(pool[:4]) and answer["business_id"] is None
    whole = ask(client, "selections", user_id=person, business_id=place, k=3)
    assert names(ask(client, "selections", user_id=person, candidates=pool, k=3)) == names(whole)
    assert whole["past_reviews"] == ask(client, "selections", user_id=person, candidates=pool)["past_reviews"]


def test_an_explanation_is_of_the_photos_given_in_their_order(client: httpx.Client, place: str, person: str) -> None:
    showcase = ask(client, "showcases", user_id=person, business_id=place, k=3)
    alone = ask(client, "explanations", user_id=person, photo_ids=names(showcase))
    assert alone["sentences"] == showcase["sentences"] and alone["alternatives"] == []
    assert " ".join(row["text"] for row in alone["sentences"]) == SAID
    pool = client.get(f"/v1/businesses/{place}/photos").json()["photo_ids"]
    given = ask(client, "explanations", user_id=person, photo_ids=[pool[5], pool[0]])
    cited = {name for row in given["sentences"] for name in row["photos"]}
    assert cited <= {pool[5], pool[0]}
    assert client.post("/v1/explanations", json={"user_id": person, "photo_ids": ["nowhere"]}).status_code == 404


def test_candidates_are_drawn_by_seed_and_words_are_kept_out(client: httpx.Client, place: str, person: str) -> None:
    wish = {"user_id": person, "business_id": place, "n": 3}
    one = ask(client, "showcases", **wish, seed=1)
    assert len(one["alternatives"]) == 2
    assert [ask(client, "showcases", **wish, seed=1)[part] for part in ("sentences", "alternatives")] == [
        one["sentences"], one["alternatives"],
    ]  # fmt: skip
    without = ask(client, "showcases", **wish, exclude=["soup"], include=["again", "zebra"])
    texts = [without, *without["alternatives"]]
    assert not any(mentions(row["text"], "soup") for text in texts for row in text["sentences"])
    for text in texts:
        said = " ".join(row["text"] for row in text["sentences"])
        assert text["missing"] == [word for word in ("again", "zebra") if not mentions(said, word)]
    assert [len(text["missing"]) for text in texts] == sorted(len(text["missing"]) for text in texts)


def test_preference_is_by_words_then_tone() -> None:
    def candidate(text: str, score: float, missing: int = 0) -> Draft:
        return Draft([CitedSentence(text, [], score)] if text else [], 0, ["x"] * missing)

    loud, calm, long = candidate("WOW! Great!!", 0.2), candidate("It was fine.", 0.9), candidate("Fine. " * 9, 0.5)
    silent, lacking = candidate("", 0.0), candidate("Ok.", 1.0, missing=1)
    every = [silent, lacking, loud, calm, long]
    first = {tone: rank_drafts(every, tone)[0] for tone in ("own", "plain", "enthusiastic", "brief", "detailed")}
    assert first == {"own": calm, "plain": calm, "enthusiastic": loud, "brief": loud, "detailed": long} or first[
        "plain"
    ] in (calm, long)
    assert rank_drafts(every, "own")[-2:] == [lacking, silent]


def events(answer: httpx.Response) -> Iterator[tuple[str, dict]]:
    name = ""
    for line in answer.iter_lines():
        kind, _, data = line.partition(": ")
        if kind == "event":
            name = data
        elif kind == "data":
            yield name, json.loads(data)


def test_a_stream_gives_photos_then_words_then_the_answer(client: httpx.Client, place: str, person: str) -> None:
    wish = {"user_id": person, "business_id": place, "k": 3}
    with client.stream("POST", "/v1/showcases", json=wish, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        told = list(events(answer))
    kinds = [kind for kind, _ in told]
    assert kinds[0] == "photos" and kinds[-1] == "showcase" and set(kinds[1:-1]) == {"text"} and len(kinds) > 6
    whole = told[-1][1]
    assert "".join(data["piece"] for kind, data in told if kind == "text") == SAID
    plain = ask(client, "showcases", **wish)
    assert told[0][1]["photos"] == whole["photos"] == plain["photos"]
    assert whole["sentences"] == plain["sentences"]  # of one beam; the tiny model says the same with two
    missing = client.post("/v1/showcases", json=wish | {"user_id": "0"}, headers={"Accept": "text/event-stream"})
    assert missing.status_code == 404 and missing.json()["detail"]
