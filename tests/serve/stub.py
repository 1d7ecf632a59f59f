"""The whole HTTP interface over a real catalog of made-up rows and models that answer at once; no Ray, no registry."""

from pathlib import Path

from fastapi import FastAPI

from serve_apps.access.config import AccessConfig
from serve_apps.api.app import create_api
from serve_apps.api.feedback import FeedbackStore
from showcases.storage.artifacts import Workspace
from tests.serve.content import Models, tiny_encoder
from tests.unit.catalog.made_up import write


def stub_api(root: Path, access: AccessConfig | None = None) -> FastAPI:
    """The application; `root` is an empty folder."""
    write(str(root / "catalog"))
    models = Models(str(root / "catalog"), tiny_encoder())
    models.feedback = FeedbackStore(Workspace(str(root)))
    return create_api(models, access)
