"""A small made-up workspace up to its embeddings, and people's labels of its pairs."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from showcases.storage.artifacts import Workspace
from tests.artifacts import embedding_table, finish, put

D, TOPICS = 8, 4


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def write_embeddings(workspace: Workspace, artifact: str, ids: list[str], vectors: np.ndarray) -> None:
    table = embedding_table(ids, unit(vectors), "toy")
    for number, start in enumerate(range(0, len(ids), 50)):
        workspace.write_table(table.slice(start, 50), artifact, f"part-{number}.parquet")
    finish(workspace, artifact)


def pair_workspace(tmp_path: Path) -> Workspace:
    """90 reviews with two sentences and two photos on random topics; one photo is broken; labels.json beside it."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(TOPICS, D))
    said, shown = rng.integers(TOPICS, size=(90, 2)), rng.integers(TOPICS, size=(90, 2))
    names = [f"u{i}_b{i % 9}" for i in range(90)]
    photos = [[f"p{i}-{j}" for j in range(2)] for i in range(90)]
    workspace = Workspace(str(tmp_path / "workspace"))
    rows = [
        {
            "review_id": name,
            "user_id": f"u{i}",
            "business_id": f"b{i % 9}",
            "text": "x",
            "sentences": [f"On topic {topic}." for topic in said[i]],
            "photo_ids": photos[i],
            "split": "train",
        }
        for i, name in enumerate(names)
    ]
    columns = ["review_id", "user_id", "business_id", "rating", "text", "sentences", "photo_ids", "split"]
    put(workspace, "reviews", pa.table({c: [row.get(c) for row in rows] for c in columns}), rows={"reviews": 90})
    ids = [p for row in photos for p in row]
    status = ["corrupt" if p == "p0-0" else "ok" for p in ids]
    put(
        workspace,
        "images",
        pa.table(
            {"photo_id": ids, "status": status}
            | dict.fromkeys(("bytes", "width", "height", "error", "content_hash", "same_as"), [None] * len(ids))
        ),
    )
    noise = rng.normal(0, 0.15, (2, 180, D))
    keep = [row for row, name in enumerate(ids) if name != "p0-0"]
    write_embeddings(workspace, "image_embeddings", [ids[r] for r in keep], (topics[shown.ravel()] + noise[0])[keep])
    sentence_ids = [f"{name}:{j}" for name in names for j in range(2)]
    write_embeddings(workspace, "sentence_embeddings", sentence_ids, topics[said.ravel()] + noise[1])
    write_labels(tmp_path / "labels.json", rows, said, shown)
    return workspace


def write_labels(path: Path, rows: list[dict], said: np.ndarray, shown: np.ndarray) -> None:
    """Three people, of whom the last is wrong now and then."""
    rng = np.random.default_rng(1)
    tasks = []
    for i, row in enumerate(rows):
        for s, sentence in enumerate(row["sentences"]):
            for p, photo in enumerate(row["photo_ids"]):
                truth = said[i, s] == shown[i, p]
                answers = [truth, truth, truth != (rng.random() < 0.1)]
                data = {"photo_id": photo, "review_id": row["review_id"], "sentence": sentence, "sentence_index": s}
                tasks.append(
                    {
                        "data": data,
                        "annotations": [
                            {
                                "completed_by": who,
                                "was_cancelled": False,
                                "result": [{"type": "choices", "value": {"choices": ["match" if yes else "no match"]}}],
                            }
                            for who, yes in enumerate(answers)
                        ],
                    }
                )
    path.write_text(json.dumps(tasks))
