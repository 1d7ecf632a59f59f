"""Photos from a folder, with its sub-folders and the tars in them, or from one tar; on disk or on S3.

Tars may be plain, or shards of WebDataset and img2dataset: key.jpg beside key.json. A tar is
scanned once to index its members; after that each photo is read individually. Of two members with one name the last
counts, as in tar; links are followed inside their tar.
"""

import io
import json
import os
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyarrow import fs

from showcases.gest.photos.sources.base import Raw, Take, read_range, read_side_by_side
from showcases.gest.photos.sources.members import NOT_FOUND, Catalog, Member, locate, printable, split
from showcases.storage.artifacts import Workspace

MAX_JSON = 1_000_000  # bytes
MAX_LINKS = 16  # consecutive links, link to link
AHEAD = {True: 2**16, False: 2**23}  # bytes read ahead while indexing: on disk, on S3

Index = tuple[pa.Table, str | None]  # MEMBERS of a tar, and its defect, if any


class Files:
    """Photos in files and tars.

    Args:
        uri: local path or s3:// URI of the tar or the folder.
        max_bytes: a larger file is too_large.
    """

    def __init__(self, uri: str, max_bytes: int) -> None:
        self.uri, self.max_bytes = uri, max_bytes

    def located(
        self, photos: pa.Table, read: Callable[[Sequence[str]], Iterable[Index]] | None = None
    ) -> tuple[pa.Table, list[str]]:
        """The photos (photo_id, url) with their locations, as `rows` needs them; and notes to report.

        Args:
            read: maps tars to their `index`, e.g. in parallel on several machines.

        Raises:
            CorpusError: none of the photos was found.
        """
        loose, tars = self._listed()
        tables, notes = [loose.table(None, {})], []
        for table, broken in (read or self._indices)(tars):
            tables.append(table)
            if broken:
                notes.append(f"broken: {broken}; the members before the defect are used")
        found, more = locate(photos, tables, self.uri)
        return found, notes + more

    def index(self, tar: str) -> Index:
        """Locations of the images in one tar (MEMBERS), and the tar's defect, if any."""
        filesystem = Workspace(self.uri).filesystem
        ahead = AHEAD[isinstance(filesystem, fs.LocalFileSystem)]
        contents, broken = _Contents(), None
        with filesystem.open_input_file(tar) as file:
            try:
                with tarfile.open(fileobj=io.BufferedReader(file, ahead), mode="r:") as archive:
                    for member in archive:
                        contents.note(archive, member)
                        archive.members = []  # type: ignore[attr-defined] # frees memory: it stores every member seen
            except (tarfile.TarError, EOFError, OSError) as error:
                broken = f"{tar}: {error}"
        return contents.table(tar), broken

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        filesystem, root = self._opened()
        files = {tar: filesystem.open_input_file(tar) for tar in set(wanted["tar"].to_pylist()) - {None}}
        places = wanted.drop_columns(["url"]).to_pylist()

        def read(place: dict[str, Any]) -> Raw:
            if place["status"] != "ok":
                return Raw(None, place["status"], place["error"])
            try:
                if place["tar"] is not None:
                    return read_range(files[place["tar"]], place["offset"], place["size"], self.max_bytes)
                with filesystem.open_input_file(f"{root}/{place['member']}") as file:
                    return read_range(file, 0, file.size(), self.max_bytes)
            except FileNotFoundError:
                return Raw(None, NOT_FOUND, f"{place['member']} was deleted after the folder was listed")
            except OSError as error:
                return Raw(None, "failed", f"{place['member']} can't be read: {error.strerror or error}")

        found = read_side_by_side(read, places)
        rows = [take(place["photo_id"], raw) for place, raw in zip(places, found, strict=True)]
        for file in files.values():
            file.close()
        return rows

    def _indices(self, tars: Sequence[str]) -> Iterator[Index]:
        return map(self.index, tars)

    def _opened(self) -> tuple[fs.FileSystem, str]:
        workspace = Workspace(self.uri)
        return workspace.filesystem, workspace.path("x").removesuffix("/x")

    def _listed(self) -> tuple[Catalog, list[str]]:
        """The files other than tars, and the tars."""
        filesystem, root = self._opened()
        if filesystem.get_file_info(root).type == fs.FileType.File:
            return Catalog(), [root]
        loose, tars = Catalog(), []
        for path in sorted(_walk(root) if isinstance(filesystem, fs.LocalFileSystem) else _list(filesystem, root)):
            if path.lower().endswith(".tar"):
                tars.append(f"{root}/{path}")
            else:
                loose.note(Member(path))
        return loose, tars


@dataclass
class _Contents:
    """Contents of one tar, recorded member by member; the last member of a name counts."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)  # offset and size by path
    links: dict[str, str] = field(default_factory=dict)  # target by path, "" if outside the tar
    sparse: set[str] = field(default_factory=set)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)  # photo_id and url by key

    def note(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath(member.name)
        self.files.pop(path, None)
        self.links.pop(path, None)
        self.sparse.discard(path)
        if member.issparse():
            self.sparse.add(path)
        elif member.isreg():
            self.files[path] = (member.offset_data, member.size)
            if split(path)[1] == "json" and member.size <= MAX_JSON:
                file = archive.extractfile(member)
                self.labels[split(path)[0]] = _label(file.read() if file else b"")
        elif member.islnk():
            self.links[path] = _inside(member.linkname)
        elif member.issym():
            self.links[path] = _inside(posixpath.join(posixpath.dirname(path), member.linkname))

    def table(self, tar: str) -> pa.Table:
        catalog = Catalog()
        for path, (offset, size) in self.files.items():
            catalog.note(Member(path, offset, size))
        for path in self.links:
            catalog.note(self._followed(path))
        for path in self.sparse:
            catalog.note(
                Member(path, status="failed", error=f"{path} is stored as a sparse file; pack the tar without -S")
            )
        return catalog.table(tar, self.labels)

    def _followed(self, path: str) -> Member:
        """The member that a link points to, under the link's name."""
        place = path
        for _ in range(MAX_LINKS):
            if place in self.files:
                return Member(path, *self.files[place])
            target = self.links.get(place)
            if target is None:
                break
            if not target:
                return Member(path, status="blocked", error=f"{path} is a link to a path outside the tar")
            place = target
        reason = "is circular" if place in self.links else f"points to {place}, which is not in the tar"
        return Member(path, status=NOT_FOUND, error=f"{path} is a link that {reason}")


def _inside(target: str) -> str:
    """A link's target as a path in the tar; empty if outside."""
    path = posixpath.normpath(target)
    return "" if path.startswith(("/", "../")) or path == ".." else path


def _label(data: bytes) -> dict[str, str]:
    """`photo_id` and `url` of a .json beside an image; empty if unreadable: the file name may still match."""
    try:
        says = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    label = {}
    if isinstance(says, dict):
        name, link = says.get("photo_id"), says.get("url")
        if (isinstance(name, int) and not isinstance(name, bool)) or (isinstance(name, str) and name):
            label["photo_id"] = printable(str(name))
        if isinstance(link, str) and link:
            label["url"] = printable(link)
    return label


def _walk(root: str) -> Iterator[str]:
    """Paths of all files below a local folder, following links, each folder once; skips names with a leading dot."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(folder, root)
        yield from (name if below == "." else f"{below}/{name}" for name in files if not name.startswith("."))


def _list(filesystem: fs.FileSystem, root: str) -> Iterator[str]:
    """Like `_walk`, for a folder in an object store."""
    for info in filesystem.get_file_info(fs.FileSelector(root, recursive=True)):
        path = info.path[len(root) + 1 :]
        if info.type == fs.FileType.File and not any(part.startswith(".") for part in path.split("/")):
            yield path
