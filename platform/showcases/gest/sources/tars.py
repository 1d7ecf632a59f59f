"""Photos from plain tars: members <photo id>.jpg at any depth, or the shards of WebDataset and img2dataset.

Those hold key.jpg beside key.json, whose `photo_id` or `url` says which photo it is. A tar is read through once for
where its members lie; after that each photo is read by itself.
"""

import io
import json
import tarfile
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from showcases.artifacts import Workspace
from showcases.errors import CorpusError
from showcases.gest.sources.base import Raw, Take, read_range, read_side_by_side

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
MAX_JSON = 1_000_000  # bytes
AHEAD = {True: 2**16, False: 2**23}  # bytes read ahead while indexing: on disk, on S3
MEMBERS = pa.schema(
    [
        ("name", pa.string()),  # photo_id of the json, or the member's name up to its first dot
        ("link", pa.string()),  # url of the json
        ("tar", pa.dictionary(pa.int32(), pa.string())),
        ("offset", pa.int64()),  # bytes
        ("size", pa.int64()),  # bytes
    ]
)


class Tars:
    """Photos in tars.

    Args:
        uri: local path or s3:// URI of the tar or the folder.
        tars: paths of the tars on its filesystem.
        max_bytes: a larger member is too_large.
    """

    def __init__(self, uri: str, tars: tuple[str, ...], max_bytes: int) -> None:
        self.uri, self.tars, self.max_bytes = uri, tars, max_bytes

    def index(self, tar: str) -> tuple[pa.Table, str | None]:
        """Where the images of one tar lie (MEMBERS), and what is wrong with the tar, if something is."""
        filesystem = Workspace(self.uri).filesystem
        ahead = AHEAD[isinstance(filesystem, fs.LocalFileSystem)]
        images: dict[str, tuple[int, int]] = {}  # offset and size by key
        told: dict[str, dict[str, Any]] = {}
        broken = None
        with filesystem.open_input_file(tar) as file:
            try:
                with tarfile.open(fileobj=io.BufferedReader(file, ahead), mode="r:") as archive:
                    for member in archive:
                        _note(archive, member, images, told)
                        archive.members = []  # type: ignore[attr-defined] # it keeps every member it has seen
            except (tarfile.TarError, EOFError, OSError) as error:
                broken = f"{tar}: {error}"
        return _members(tar, images, told), broken

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        filesystem = Workspace(self.uri).filesystem
        files = {tar: filesystem.open_input_file(tar) for tar in set(wanted["tar"].to_pylist()) - {None}}
        places = wanted.select(["photo_id", "tar", "offset", "size"]).to_pylist()
        found = read_side_by_side(lambda place: self._read(files, place), places)
        rows = [take(place["photo_id"], raw) for place, raw in zip(places, found, strict=True)]
        for file in files.values():
            file.close()
        return rows

    def _read(self, files: dict[str, pa.NativeFile], place: dict[str, Any]) -> Raw:
        if place["tar"] is None:
            return Raw(None, "expired", "in no tar")
        try:
            return read_range(files[place["tar"]], place["offset"], place["size"], self.max_bytes)
        except OSError as error:
            return Raw(None, "failed", f"can't be read: {error}")


def locate(photos: pa.Table, members: list[pa.Table]) -> pa.Table:
    """The photos (photo_id, url) with tar, offset and size of each, null where it is in none; in the tars' order.

    Raises:
        CorpusError: not one photo is in the tars.
    """
    all_members = pa.concat_tables([MEMBERS.empty_table(), *members]).unify_dictionaries().combine_chunks()
    row = pc.index_in(photos["photo_id"], value_set=all_members["name"])
    by_link = pc.index_in(photos["url"], value_set=all_members["link"], skip_nulls=True)
    found = all_members.select(["tar", "offset", "size"]).take(pc.coalesce(row, by_link))
    if photos.num_rows and found["tar"].null_count == photos.num_rows:
        raise CorpusError(
            f"not one of {photos.num_rows} photos is among the {all_members.num_rows} images of the tars: they are "
            "matched by name (<photo id>.jpg), or by photo_id or url in the .json beside the image"
        )
    for name in found.column_names:
        photos = photos.append_column(name, found[name])
    photos = photos.set_column(photos.column_names.index("tar"), "tar", photos["tar"].cast(pa.string()))
    return photos.sort_by([("tar", "ascending"), ("offset", "ascending")])


def _note(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    images: dict[str, tuple[int, int]],
    told: dict[str, dict[str, Any]],
) -> None:
    """Take one member down: an image, or what a json says of one."""
    path = PurePosixPath(member.name)
    stem, _, suffix = path.name.partition(".")
    key = str(path.with_name(stem)) if stem else ""
    if not key or not member.isreg():
        return
    if suffix.lower() in IMAGE_SUFFIXES:
        images.setdefault(key, (member.offset_data, member.size))
    elif suffix.lower() == "json" and member.size <= MAX_JSON:
        file = archive.extractfile(member)
        try:
            says = json.loads(file.read()) if file else None
        except ValueError:
            return  # the image may still be known by its name
        if isinstance(says, dict):
            told[key] = {name: says.get(name) for name in ("photo_id", "url") if isinstance(says.get(name), str)}


def _members(tar: str, images: dict[str, tuple[int, int]], told: dict[str, dict[str, Any]]) -> pa.Table:
    says = [told.get(key, {}) for key in images]
    columns = {
        "name": [said.get("photo_id") or PurePosixPath(key).name for key, said in zip(images, says, strict=True)],
        "link": [said.get("url") for said in says],
        "tar": pa.DictionaryArray.from_arrays(pa.array([0] * len(images), pa.int32()), [tar]),
        "offset": [offset for offset, _ in images.values()],
        "size": [size for _, size in images.values()],
    }
    return pa.table(columns, schema=MEMBERS)
