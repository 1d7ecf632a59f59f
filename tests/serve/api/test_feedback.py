"""Feedback by a plain ASGI call: what is kept is what was said, and what can be learnt from is exported."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serve_apps.access.config import AccessConfig
from serve_apps.api import feedback
from serve_apps.api.feedback import FeedbackStore, main
from serve_apps.api.layers import protection, wrap
from serve_apps.http import problem
from showcases.storage.artifacts import Workspace

SHOWN = {"request_id": "r1", "photo_ids": ["p1"], "text": "The soup was fine.", "user_id": "u1", "business_id": "b1"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    api = FastAPI()
    problem.install(api)
    feedback.install(api, FeedbackStore(Workspace(str(tmp_path))))
    wrap(api, protection(AccessConfig()))
    return TestClient(api)


def test_what_is_said_is_kept_and_exported(client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    models = {"generator": {"name": "showcases-generator", "version": "3"}}
    given = [
        SHOWN | {"rating": 5, "models": models},
        SHOWN | {"rating": 3},
        SHOWN | {"rating": 1, "edited_text": "Thé soup\u2028was cold."},
    ]
    answers = [client.post("/v1/feedback", json=row) for row in given]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["feedback_id"] for answer in answers}) == 3
    main(["export", "--root", str(tmp_path), "--out", str(tmp_path / "out.jsonl")])
    assert "2 texts, 1 of them edited" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n") if line]
    told = {row["explanation"]: row for row in rows}
    assert set(told) == {"The soup was fine.", "Thé soup\u2028was cold."}
    assert told["The soup was fine."]["models"]["generator"]["version"] == "3"
    assert all(row["photo_ids"] == ["p1"] and row["user_id"] == "u1" for row in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "give a rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 1, "photo_ids": ["p"] * 6}, "photo_ids"),
        ({"rating": 1, "text": "x" * 4001}, "text"),
        ({"rating": 1, "stars": 2}, "stars"),
    ],
)
def test_nonsense_is_refused(client: TestClient, tmp_path: Path, change: dict, message: str) -> None:
    answer = client.post("/v1/feedback", json=SHOWN | change)
    assert answer.status_code == 422 and message in answer.json()["detail"]
    assert list(FeedbackStore(Workspace(str(tmp_path))).rows()) == []
