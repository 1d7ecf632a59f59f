"""Feedback on showcases: stored as one object each under the workspace, exported as training data.

python -m serve_apps.api.feedback export --root WORKSPACE --out feedback.jsonl [--rating 4]
"""

import argparse
import datetime
import json
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from pyarrow import fs
from starlette.concurrency import run_in_threadpool

from serve_apps.api.openapi import refusals
from serve_apps.api.requests import FeedbackBody
from serve_apps.api.responses import FeedbackAnswer
from serve_apps.http import idempotency
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace

FOLDER = "_feedback"  # under the workspace root; no pipeline step reads it
NAMESPACE = uuid.UUID("5b0f4b1c-6f0e-4c53-9a43-0c5b8f7d2a11")  # of ids made from idempotency keys


@dataclass(frozen=True)
class FeedbackStore:
    """Stores one JSON object per feedback in one folder per day; append-only, so it works on S3."""

    workspace: Workspace

    def save(self, feedback: dict[str, Any], tenant: str | None, key: str | None = None) -> str:
        """Write the feedback and return its id.

        Args:
            key: idempotency key; the same key gives the same id, so a retry overwrites its own object.
        """
        now = datetime.datetime.now(datetime.UTC)
        name = (uuid.uuid5(NAMESPACE, key) if key else uuid.uuid4()).hex
        row = {"feedback_id": name, "at": now.isoformat(timespec="seconds"), "tenant": tenant, **feedback}
        data = json.dumps(row, ensure_ascii=False).encode()
        self.workspace.write_bytes(data, FOLDER, now.strftime("%Y-%m-%d"), f"{name}.json")
        return name

    def rows(self) -> Iterator[dict[str, Any]]:
        """All stored feedback, ordered by day."""
        selector = fs.FileSelector(self.workspace.path(FOLDER), allow_not_found=True, recursive=True)
        found = self.workspace.filesystem.get_file_info(selector)
        for path in sorted(info.path for info in found if info.type == fs.FileType.File):
            day, name = path.split("/")[-2:]
            yield json.loads(self.workspace.read_bytes(FOLDER, day, name))


def install(api: FastAPI, store: FeedbackStore) -> None:
    """Add the route."""

    @api.post(
        "/v1/feedback",
        response_model=FeedbackAnswer,
        status_code=201,
        responses=refusals(409),
        openapi_extra={"parameters": [idempotency.PARAMETER]},
        tags=["feedback"],
    )
    async def give_feedback(body: FeedbackBody, request: Request) -> FeedbackAnswer:
        """Store a rating or a corrected text of a showcase, for training."""
        tenant = getattr(request.state, "tenant", None)
        key = getattr(request.state, "idempotency", None)
        feedback_id = await run_in_threadpool(store.save, body.model_dump(exclude_none=True), tenant, key)
        return FeedbackAnswer(feedback_id=feedback_id, request_id=request.state.request_id)


def training_rows(rows: Iterator[dict[str, Any]], least: int) -> Iterator[dict[str, Any]]:
    """Training examples: photos with the edited text, or with the shown text if rated `least` or higher."""
    for row in rows:
        text = row.get("edited_text") or (row["text"] if row.get("rating", 0) >= least else None)
        if text:
            names = ("feedback_id", "at", "tenant", "user_id", "business_id", "photo_ids", "rating", "models")
            known = {name: row[name] for name in names if row.get(name) is not None}
            yield {**known, "explanation": text, "edited": bool(row.get("edited_text"))}


def main(argv: Sequence[str] | None = None) -> None:
    """Export the stored feedback."""
    parser = argparse.ArgumentParser(prog="python -m serve_apps.api.feedback", description=__doc__.split("\n")[0])
    export = parser.add_subparsers(dest="command", required=True).add_parser("export", help="as JSON lines")
    export.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    export.add_argument("--out", type=Path, required=True, help="file to write")
    export.add_argument(
        "--rating", type=int, default=4, help="lowest rating, 1 to 5, at which an unedited text is exported"
    )
    options = parser.parse_args(argv)
    try:
        rows = list(training_rows(FeedbackStore(Workspace(options.root)).rows(), options.rating))
    except ShowcasesError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    lines = [json.dumps(row) + "\n" for row in rows]  # ASCII-escaped: many readers treat U+2028 as a line break
    options.out.write_text("".join(lines), encoding="utf-8")
    print(f"{options.out}: {len(rows)} texts, {sum(row['edited'] for row in rows)} of them edited")


if __name__ == "__main__":
    main()
