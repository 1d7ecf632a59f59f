"""Photos from a folder of <photo id>.jpg, on disk or on S3."""

from typing import Any

import pyarrow as pa
from pyarrow import fs

from showcases.artifacts import Workspace
from showcases.gest.sources.base import Raw, Take, read_range, read_side_by_side
from showcases.ids import PHOTO_ID


class Folder:
    """A folder of <photo id>.jpg.

    Args:
        uri: local path or s3:// URI.
        max_bytes: a larger file is too_large.
    """

    def __init__(self, uri: str, max_bytes: int) -> None:
        self.uri, self.max_bytes = uri, max_bytes

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        workspace = Workspace(self.uri)
        filesystem, root = workspace.filesystem, workspace.path("x").removesuffix("/x")
        names = wanted["photo_id"].to_pylist()
        found = read_side_by_side(lambda name: self._read(filesystem, root, name), names)
        return [take(name, raw) for name, raw in zip(names, found, strict=True)]

    def _read(self, filesystem: fs.FileSystem, root: str, name: str) -> Raw:
        if not PHOTO_ID.fullmatch(name):
            return Raw(None, "corrupt", "the id is no file name")
        try:
            with filesystem.open_input_file(f"{root}/{name}.jpg") as file:
                return read_range(file, 0, file.size(), self.max_bytes)
        except FileNotFoundError:
            return Raw(None, "expired", "no such file")
        except OSError as error:
            return Raw(None, "failed", f"can't be read: {error}")
