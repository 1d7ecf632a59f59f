"""Match photos to image files and tar members.

A photo is matched by, in this order: `photo_id` in the .json beside an image; `url` there; the file's name up to its
first dot. An image whose .json names another photo or URL is never matched by its name, which in shards is a running
number.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from showcases.errors import CorpusError

SUFFIXES = ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
ASIDE = ("json", "txt", "cls", "caption", "csv", "tsv", "xml", "html", "md", "npy", "npz", "pyd", "pth", "parquet")
NOT_FOUND = "not_found"
ASIDE_ORDER = 3  # after p1.jpg, p1.input.jpg, and p1.bin, which may be a photo despite its suffix
MAX_NAMES = 5000  # searched for similar names
MAX_HINTS = 10  # photos whose row lists similar names
MEMBERS = pa.schema(
    [
        ("name", pa.string()),  # photo_id of the .json, or the file's name up to its first dot
        ("link", pa.string()),  # url of the .json
        ("is_named", pa.bool_()),  # whether the .json has a photo_id
        ("tar", pa.dictionary(pa.int32(), pa.string())),  # null for a plain file
        ("member", pa.string()),  # path in the tar, or below the folder
        ("offset", pa.int64()),  # bytes
        ("size", pa.int64()),  # bytes; -1 for a plain file
        ("status", pa.string()),  # ok, or why it can't be read
        ("error", pa.string()),
    ]
)
PLACE = ("tar", "member", "offset", "size", "status", "error")  # columns copied from a member to its photo's row


@dataclass
class Member:
    """One file, or member of a tar: see MEMBERS."""

    path: str
    offset: int = 0
    size: int = -1
    status: str = "ok"
    error: str | None = None


@dataclass
class Catalog:
    """The images of one folder or tar, recorded one by one."""

    images: dict[str, list[tuple[int, Member]]] = field(default_factory=dict)  # by key, each with its _order

    def note(self, member: Member) -> None:
        """Record a file under its key, unless its name begins with a dot, like the files of file managers."""
        key, suffix = split(member.path)
        path = printable(member.path)
        if path != member.path and member.size < 0:
            member.status, member.error = "failed", f"{path}: the name is not UTF-8; rename the file"
        member.path = path
        if key:
            self.images.setdefault(key, []).append((_order(suffix), member))

    def table(self, tar: str | None, labels: dict[str, dict[str, str]]) -> pa.Table:
        """MEMBERS, best candidates first.

        Args:
            labels: `photo_id` and `url` by key, from the .json files.
        """
        found = []
        for key, members in self.images.items():
            best = min(order for order, _ in members)
            for order, member in members:
                if order == best:
                    found.append((order, key, _refused(member) if order == ASIDE_ORDER else member))
        found.sort(key=lambda each: each[0])  # stable: ties stay in input order
        labeled = [labels.get(key, {}) for _, key, _ in found]
        columns = {
            "name": [
                say.get("photo_id") or printable(PurePosixPath(key).name)
                for (_, key, _), say in zip(found, labeled, strict=True)
            ],
            "link": [say.get("url") for say in labeled],
            "is_named": ["photo_id" in say for say in labeled],
            "tar": pa.DictionaryArray.from_arrays(pa.array([0 if tar else None] * len(found), pa.int32()), [tar or ""]),
            "member": [member.path for _, _, member in found],
            "offset": [member.offset for _, _, member in found],
            "size": [member.size for _, _, member in found],
            "status": [member.status for _, _, member in found],
            "error": [member.error for _, _, member in found],
        }
        return pa.table(columns, schema=MEMBERS)


def split(path: str) -> tuple[str, str]:
    """Key and suffixes: `a/p1`, `input.jpg` of a/p1.input.JPG; no key if the name begins with a dot."""
    parent, _, name = path.rpartition("/")
    stem, _, suffix = name.partition(".")
    return (f"{parent}/{stem}" if parent else stem) if stem else "", suffix.lower()


def printable(text: str) -> str:
    """Text that can be stored: bytes that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _order(suffix: str) -> int:
    last = suffix.rpartition(".")[2]
    if last in ASIDE:
        return ASIDE_ORDER
    return 2 if last not in SUFFIXES else int(suffix != last)


def _refused(member: Member) -> Member:
    name = PurePosixPath(member.path).name
    return Member(member.path, status=NOT_FOUND, error=f"found only {name}, whose suffix is not that of a photo")


def locate(photos: pa.Table, members: Sequence[pa.Table], place: str) -> tuple[pa.Table, list[str]]:
    """The photos (photo_id, url) with PLACE of each, in storage order; and notes to report.

    Args:
        members: MEMBERS, those of a folder before those of its tars.
        place: value of --photos, for messages.

    Raises:
        CorpusError: none of the photos was found.
    """
    everything = pa.concat_tables([MEMBERS.empty_table(), *members]).unify_dictionaries().combine_chunks()
    row, notes = _rows(photos, everything)
    found = everything.select(list(PLACE)).take(row)
    if photos.num_rows and row.null_count == photos.num_rows:
        raise CorpusError(_nothing(photos, everything, place))
    missing = pc.is_null(row)
    status = pc.if_else(missing, NOT_FOUND, found["status"])
    error, examples = _reasons(photos, everything, found["error"], missing)
    for name in ("tar", "member", "offset", "size"):
        column = found[name].cast(pa.string()) if name == "tar" else found[name]
        photos = photos.append_column(name, column)
    photos = photos.append_column("status", status).append_column("error", error)
    if examples:
        count = pc.sum(missing).as_py()
        notes.append(f"{count:,} photos are not in {place}: " + "; ".join(examples[:3]))
    order = [("tar", "ascending"), ("offset", "ascending"), ("member", "ascending")]
    return photos.sort_by(order), notes


def _rows(photos: pa.Table, members: pa.Table) -> tuple[pa.Array, list[str]]:
    """Row of each photo's member, null if it has none; and a note on photos with several members."""
    number = pa.array(range(members.num_rows), pa.int64())
    readable, named = pc.equal(members["status"], "ok"), members["is_named"]
    linked = pc.is_valid(members["link"])
    unnamed, alone = pc.and_(readable, pc.invert(named)), pc.is_valid(photos["url"])
    without_url = pc.if_else(alone, pa.scalar(None, pa.string()), photos["photo_id"])
    ways = (
        (photos["photo_id"], "name", pc.and_(readable, named)),
        (photos["url"], "link", pc.and_(unnamed, linked)),
        (photos["photo_id"], "name", pc.and_(unnamed, pc.invert(linked))),
        (without_url, "name", pc.and_(unnamed, linked)),  # the URL of such a photo is not known
        (photos["photo_id"], "name", pc.and_(pc.invert(readable), pc.invert(pc.and_(linked, pc.invert(named))))),
    )
    row, several = pa.nulls(photos.num_rows, pa.int64()), []
    for wanted, column, allowed in ways:
        keys, places = _flat(members[column].filter(allowed)), _flat(number.filter(_flat(allowed)))
        open_ = pc.is_null(row)
        wanted = pc.if_else(open_, wanted, pa.scalar(None, pa.string()))
        at = _flat(pc.index_in(wanted, value_set=keys, skip_nulls=True))
        row = pc.coalesce(row, places.take(at))
        several += _several(keys.filter(pc.is_in(keys, value_set=_flat(wanted).drop_null())), members, places, keys)
    if not several:
        return row, []
    return row, [f"{len(several):,} photos were found more than once; using the first: " + "; ".join(several[:3])]


def _several(hit: pa.Array, members: pa.Table, places: pa.Array, keys: pa.Array) -> list[str]:
    """The matched keys with more than one member, with up to three of these."""
    counts = pc.value_counts(hit)
    twice = (
        counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        if len(counts)
        else pa.array([], pa.string())
    )
    texts = []
    for number, key in enumerate(twice.to_pylist()):
        if number >= 3:  # the rest is only counted
            texts.append(key)
            continue
        rows = members.take(places.filter(pc.equal(keys, key)).slice(0, 3)).select(["tar", "member"]).to_pylist()
        texts.append(f"{key} ({', '.join(_path(row) for row in rows)})")
    return texts


def _path(row: dict[str, str | None]) -> str:
    tar = PurePosixPath(row["tar"]).name + ":" if row["tar"] else ""
    return f"{tar}{row['member']}"


def _reasons(
    photos: pa.Table, members: pa.Table, errors: pa.ChunkedArray, missing: pa.Array
) -> tuple[pa.Array, list[str]]:
    """Why each photo has no bytes, with similar names for the first few; and these few as examples."""
    ids = _flat(photos["photo_id"].filter(missing)).slice(0, MAX_HINTS).to_pylist()
    names = list(dict.fromkeys(PurePosixPath(path).name for path in members["member"].slice(0, MAX_NAMES).to_pylist()))
    links = set(_flat(pc.cast(members["link"], pa.string())).drop_null().slice(0, 1).to_pylist())
    hints = {name: _hint(name, names, bool(links)) for name in ids}
    plain = "no file of that name" + (", and no .json with that id or URL" if links else "")
    pairs = zip(photos["photo_id"].to_pylist(), missing.to_pylist(), strict=True)
    reasons = pa.array([hints.get(name, plain) if lost else None for name, lost in pairs], pa.string())
    return pc.coalesce(_flat(errors), reasons), [f"{name}: {hints[name]}" for name in ids]


def _hint(name: str, names: Sequence[str], has_json: bool) -> str:
    lowered: dict[str, str] = {}
    for each in names:
        lowered.setdefault(split(each)[0].lower(), each)
        lowered.setdefault(each.lower(), each)
    close = difflib.get_close_matches(name.lower(), lowered, 3, 0.6)
    holding = [each for each in lowered if name.lower() in each][:3]  # with a prefix or suffix around the id
    near = list(dict.fromkeys(lowered[each] for each in (*holding, *close)))[:3]
    missing = f"no file is named {name}" + (", and no .json has that id" if has_json else "")
    return f"{missing}; nearest: {', '.join(near)}" if near else f"{missing}; there is e.g. {', '.join(names[:2])}"


def _nothing(photos: pa.Table, members: pa.Table, place: str) -> str:
    there = [PurePosixPath(path).name for path in members["member"].slice(0, 3).to_pylist()]
    examples = ", ".join(photos["photo_id"].slice(0, 2).to_pylist())
    return (
        f"{place}: none of {photos.num_rows} photos is among the {members.num_rows} images there"
        + (f" (e.g. {', '.join(there)}; wanted e.g. {examples})" if there else "")
        + f": photos are matched by name (<photo id>.jpg, or any of {', '.join(SUFFIXES[1:])}), also in "
        "sub-folders and .tar files, or by photo_id or url in the .json beside an image"
    )


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
