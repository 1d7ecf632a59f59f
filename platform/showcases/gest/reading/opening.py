"""Open users' input files by name, pattern or s3:// address, as plain bytes.

All readers of reviews (both official formats) and of label exports open their files here, so they accept the same
containers: plain or gzip, with or without a byte order mark, one file or several, on disk or on S3.
"""

import contextlib
import glob
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from pyarrow import fs

from showcases.errors import CorpusError
from showcases.storage import s3
from showcases.storage.s3_errors import store_errors_of

BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"  # the first bytes of every gzip file
HEAD = 512  # bytes for recognising a format
BUFFER = 8 << 20  # bytes per request to S3
TAR_MAGIC = 257  # offset of `ustar` in a tar
# Magic bytes of unsupported formats, their names, and how to convert them.
FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"BZh", "a bzip2 file", "unpack it with `bunzip2 {file}`, or pack it with gzip instead"),
    (b"\xfd7zXZ\0", "an xz file", "unpack it with `unxz {file}`, or pack it with gzip instead"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it with `unzstd {file}`, or pack it with gzip instead"),
    (b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it with `unlz4 {file}`, or pack it with gzip instead"),
    (b"PK\x03\x04", "a zip file", "unpack it with `unzip {file}` and give the file inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file", "unpack it with `7z x {file}` and give the file inside"),
    (b"PAR1", "a Parquet file", "convert it to JSON, e.g. in DuckDB: COPY (FROM '{file}') TO 'out.json'"),
    (b"ARROW1", "an Arrow file", "convert it to JSON, e.g. by `pandas.read_feather(...).to_json(..., lines=True)`"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as JSON"),
    (b"%PDF", "a PDF", "give the JSON file"),
    (b"\xff\xfe", "UTF-16 text", "convert it: `iconv -f UTF-16 -t UTF-8 {file} > out.json`"),
    (b"\xfe\xff", "UTF-16 text", "convert it: `iconv -f UTF-16 -t UTF-8 {file} > out.json`"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`"),
)
Given = str | Path | Sequence[str | Path]  # files as a user names them
HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head")


@dataclass(frozen=True)
class InputFile:
    """An open input file.

    Attributes:
        name: for display; an S3 address without credentials and options.
        stream: decompressed bytes after the byte order mark.
        skipped: length of that mark, 0 or 3.
        packed: the raw file, at the position up to which it was read.
        size: of the raw file, in bytes.
    """

    name: str
    stream: BinaryIO
    skipped: int
    packed: BinaryIO
    size: int


def find_files(given: Given) -> list[str]:
    """Expand names and patterns to unique files: names in the given order, a pattern's matches sorted.

    Args:
        given: paths or s3:// addresses, each of which may hold the wildcards `*` and `[...]`, a path also `?`. The
            name of an existing file is never a pattern.

    Raises:
        CorpusError: there is no such file, nothing matches, it is a folder, or the address has another scheme.
    """
    names = [given] if isinstance(given, str | Path) else given
    found = [file for name in names for file in _matches(str(name))]
    if not found:
        raise CorpusError("no input file given")
    return list(dict.fromkeys(found))


def shown(name: str) -> str:
    """The name for messages and tables: an S3 address without credentials and options."""
    if not name.startswith("s3://"):
        return name
    parts = urlsplit(name)
    return f"s3://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _matches(name: str) -> list[str]:
    scheme, separator, _ = name.partition("://")
    if not separator:
        return _local_matches(name)
    if scheme != "s3":
        raise CorpusError(f"{name}: input files are read from disk and from s3://; download it first")
    return _s3_matches(name)


def _local_matches(name: str) -> list[str]:
    path = Path(name)
    try:
        if path.is_file():
            return [name]
        if path.is_dir():
            raise CorpusError(f"{name}: a folder; give its files, e.g. '{name.rstrip('/')}/*.json'")
        if path.exists():
            raise CorpusError(f"{name}: not a regular file; it is read more than once, so give a file")
        found = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())
    except (OSError, ValueError) as error:  # the name is too long or contains a zero byte
        raise CorpusError(f"{name[:200]}: no such file ({_reason(error)})") from error
    if not found:
        kind = "no file matches" if glob.has_magic(name) else "no such file"
        raise CorpusError(f"{name}: {kind} on the machine that runs the job, in {Path.cwd()}")
    return found


def _s3_matches(name: str) -> list[str]:
    """Addresses of the objects that match; `?` begins the store's options and is not a wildcard here."""
    if not glob.has_magic(urlsplit(name).path):
        return [name]
    filesystem, pattern = s3.open_root(name)
    with store_errors_of(filesystem, pattern):
        if filesystem.get_file_info(pattern).type == fs.FileType.File:
            return [name]
    folder = pattern[: pattern.index(next(c for c in pattern if c in "*["))].rpartition("/")[0]
    depth = pattern.count("/")
    with store_errors_of(filesystem, folder):
        infos = filesystem.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    keys = sorted(
        info.path
        for info in infos
        if info.type == fs.FileType.File and info.path.count("/") == depth and fnmatchcase(info.path, pattern)
    )
    if not keys:
        raise CorpusError(f"{shown(name)}: no object matches")
    return [urlsplit(name)._replace(path=f"/{key.partition('/')[2]}").geturl() for key in keys]


@contextlib.contextmanager
def open_input(name: str) -> Iterator[InputFile]:
    """Open a file by a name of `find_files`.

    Raises:
        CorpusError: the file is missing, unreadable or in an unsupported format (with a hint what to do), or, during
            reading, a truncated or damaged gzip file.
        ObjectStoreError: S3 refuses or fails.
    """
    with _opened(name) as (packed, size):
        try:
            _refuse_formats(packed, name)
            stream = packed
            if _head(packed).startswith(GZIP):
                stream = cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=packed), 1 << 20))  # type: ignore[type-var]
                _refuse_formats(stream, name, unpacked=True)
            skipped = len(stream.read(len(BOM))) if _head(stream).startswith(BOM) else 0
            yield InputFile(shown(name), stream, skipped, packed, size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorpusError(
                f"{shown(name)}: damaged after {packed.tell():,} of {size:,} bytes ({error}); fetch the file again"
            ) from error


@contextlib.contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """The raw file, and its size in bytes."""
    try:
        if name.startswith("s3://"):
            filesystem, path = s3.open_root(name)
            with store_errors_of(filesystem, path), filesystem.open_input_file(path) as remote:
                yield cast(BinaryIO, io.BufferedReader(remote, BUFFER)), remote.size()
        else:
            with Path(name).open("rb") as file:
                yield file, Path(name).stat().st_size
    except FileNotFoundError as error:
        raise CorpusError(f"{shown(name)}: no such file") from error
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise CorpusError(f"{shown(name)}: can't be read ({_reason(error)})") from error


def _head(stream: BinaryIO) -> bytes:
    """Peek at the next bytes."""
    return cast(io.BufferedReader, stream).peek(HEAD)[:HEAD]


def _refuse_formats(stream: BinaryIO, name: str, unpacked: bool = False) -> None:
    """Raise a CorpusError if the file is in a known unsupported format."""
    head, file = _head(stream), shown(name)
    for magic, what, hint in FORMATS:
        if head.startswith(magic):
            raise CorpusError(f"{file}: this is {what}; {hint.format(file=file)}")
    if unpacked and head.startswith(GZIP):
        raise CorpusError(f"{file}: this was compressed with gzip twice; unpack it once with `gunzip`")
    if head[TAR_MAGIC : TAR_MAGIC + 5] == b"ustar":
        raise CorpusError(f"{file}: this is a tar archive; unpack it with `tar -xf {file}` and give the file inside")
    if head.removeprefix(BOM).lstrip().lower().startswith(HTML):
        raise CorpusError(f"{file}: this is an HTML page (often a login or error page); download the file again")
    if head[:2] in (b"{\0", b"[\0", b"\0{", b"\0["):
        raise CorpusError(f"{file}: this is UTF-16 text; convert it: `iconv -f UTF-16 -t UTF-8 {file} > out.json`")


def file_digest(name: str) -> str:
    """SHA-256 of the raw file, compressed or not.

    Raises:
        CorpusError, ObjectStoreError: as `open_input`.
    """
    with _opened(name) as (stream, _):
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def file_size(name: str) -> int:
    """Size in bytes of the raw file, compressed or not.

    Raises:
        CorpusError, ObjectStoreError: as `open_input`.
    """
    with _opened(name) as (_, size):
        return size


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
