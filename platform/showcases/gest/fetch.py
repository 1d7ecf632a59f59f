"""Photos from a folder, each checked by decoding it; whatever becomes of one, its row stays."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import fs

from showcases.artifacts import IMAGES, Workspace
from showcases.photos import PhotoError, take_in

PHOTO_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class PhotoReader:
    """Reads a batch of photos from a folder; a row each, whatever becomes of it."""

    def __init__(self, folder: str, max_side: int) -> None:
        self.folder, self.max_side = folder, max_side

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        filesystem, root = open_folder(self.folder)
        rows = [self._row(filesystem, root, str(name)) for name in batch["photo_id"]]
        return pa.Table.from_pylist(rows, schema=IMAGES)

    def _row(self, filesystem: fs.FileSystem, root: str, name: str) -> dict[str, Any]:
        empty = {"photo_id": name, "bytes": None, "width": None, "height": None}
        if not PHOTO_ID.fullmatch(name):
            return {**empty, "status": "corrupt", "error": "the id is no file name"}
        try:
            with filesystem.open_input_stream(f"{root}/{name}.jpg") as stream:
                photo = take_in(stream.read(), self.max_side)
        except FileNotFoundError:
            return {**empty, "status": "expired", "error": "no such file"}
        except PhotoError as error:
            return {**empty, "status": "corrupt", "error": str(error)}
        return {
            "photo_id": name, "bytes": photo.data, "width": photo.width, "height": photo.height,
            "status": "ok", "error": None,
        }  # fmt: skip


def open_folder(uri: str) -> tuple[fs.FileSystem, str]:
    """Filesystem and path of a local folder or an s3:// URI."""
    workspace = Workspace(uri)
    return workspace.filesystem, workspace.path("x").removesuffix("/x")
