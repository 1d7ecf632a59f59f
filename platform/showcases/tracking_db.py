"""Where a workspace's MLflow database and files are, as URIs; and their repair after the workspace was moved or copied.

MLflow writes absolute locations into its database, and its API can't change them.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from showcases.errors import ConfigError
from showcases.storage.s3 import parse_root

DATABASE = "mlflow.db"  # in the workspace; in the working folder where the workspace is on S3
FILES = "mlflow"  # folder of the workspace: the files of its runs
LOCK_SECONDS = 60.0  # to wait for another process that writes to the database
URIS = (  # (table, column) of MLflow's schema that MLflow reads as a URI, if it may hold a place in the workspace
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("model_version_tags", "value"),
)
TEXTS = (("tags", "value"), ("params", "value"))  # that may be a path in the workspace


def place(root: str) -> str:
    """Where a workspace is: an absolute path, or its URI without what that says of keys and endpoints."""
    if root.startswith("s3://"):
        return f"s3://{parse_root(root).path}"
    if "://" in root:
        return root.split("?")[0].rstrip("/")
    return str(Path(root).expanduser().resolve())


def database_file(root: str) -> Path:
    """The workspace's own database, whether or not it exists."""
    folder = Path.cwd() if "://" in root else Path(place(root))
    return folder / DATABASE


def files_uri(root: str) -> str:
    """Where the files of the workspace's runs are."""
    return f"{place(root)}/{FILES}" if "://" in root else (Path(place(root)) / FILES).as_uri()


def is_own(root: str, tracking_uri: str) -> bool:
    """Whether a tracking URI is that of the database in the workspace's folder."""
    return "://" not in root and sqlite_file(tracking_uri) == database_file(root)


def sqlite_uri(file: Path) -> str:
    """SQLAlchemy's URI of a sqlite file, with `?` and `%` of the path percent-encoded.

    After a folder with one of these, slashes are encoded, too: MLflow makes the parent folder of the path as the URI
    writes it, and would make a second folder `a%3Fb` beside `a?b`.
    """
    parts = file.absolute().as_posix().split("/")
    plain = next((n for n, part in enumerate(parts) if "%" in part or "?" in part), len(parts))
    encoded = "%2F".join(quote(part, safe="") for part in parts[plain:])
    return "sqlite:///" + "/".join([*parts[:plain], *([encoded] if encoded else [])])


def sqlite_file(uri: str) -> Path | None:
    """The file of a sqlite URI; None for any other."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))


def database_uri(root: str, tracking_uri: str | None = None) -> str:
    """MLflow's URI for a workspace: the one given, else that of the workspace's own database.

    If that is the workspace's own, it is made to fit where the workspace is now.

    Raises:
        ConfigError: it can't be read, or has to be repaired and can't be written.
    """
    uri = tracking_uri or sqlite_uri(database_file(root))
    if is_own(root, uri):
        with contextlib.suppress(FileNotFoundError):
            relocate(root)
    return uri


def relocate(root: str) -> list[str]:
    """Point the database of a workspace that was moved or copied to the files beside it.

    Runs that were under way in the former place can't go on here: they become KILLED.

    Returns:
        The former places, none where nothing was to do.

    Raises:
        FileNotFoundError: there is no database yet.
        ConfigError: it can't be read, or not be written.
    """
    file, here = database_file(root), place(root)
    if not file.exists():
        raise FileNotFoundError(file)
    try:
        with _connected(file, "ro") as database:
            if not _former_places(database, here):
                return []
        with _connected(file, "rw") as database:
            database.execute("BEGIN IMMEDIATE")  # of two processes that open the workspace one does it
            former = _former_places(database, here)
            for there in former:
                _rewrite(database, there, here)
            database.commit()
        return former
    except sqlite3.Error as error:
        raise ConfigError(
            f"{file}: MLflow's database can't be read, or can't be updated after the workspace was moved ({error}); "
            "check the permissions, and that it was copied while no step was running"
        ) from error


@contextlib.contextmanager
def _connected(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"{file.as_uri()}?mode={mode}", timeout=LOCK_SECONDS, isolation_level=None, uri=True)
    with contextlib.closing(database):
        yield database


def _former_places(database: sqlite3.Connection, here: str) -> list[str]:
    """Folders in which this workspace was before, by its experiments."""
    if not _columns(database, "experiments"):  # another process is just making it
        return []
    found = {_path(location) for (location,) in database.execute("SELECT DISTINCT artifact_location FROM experiments")}
    folders = [path.parent for path in found if path is not None and path.name == FILES]
    return sorted(str(folder) for folder in folders if str(folder) != here and _is_former(database, folder, here))


def _is_former(database: sqlite3.Connection, there: Path, here: str) -> bool:
    """Whether it was this workspace, and not another one whose steps were told to log to this database.

    Such a one has its files in its own folder, and no database there.
    """
    runs = [_path(uri) for (uri,) in database.execute("SELECT artifact_uri FROM runs")]
    tails = [path.relative_to(there) for path in runs if path is not None and path.is_relative_to(there)]
    has_files = any((Path(here) / tail).exists() for tail in tails)
    is_other = any((there / tail).exists() for tail in tails) and not (there / DATABASE).exists()
    return has_files or not is_other


def _path(location: str | None) -> Path | None:
    """Of a location on this machine, written as a path or as a file URI."""
    if not location:
        return None
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None


def _rewrite(database: sqlite3.Connection, there: str, here: str) -> None:
    stopped = "UPDATE runs SET status = 'KILLED', end_time = ? WHERE status = 'RUNNING' AND artifact_uri = ?"
    for (uri,) in database.execute("SELECT artifact_uri FROM runs WHERE status = 'RUNNING'").fetchall():
        path = _path(uri)
        if path is not None and path.is_relative_to(there):
            database.execute(stopped, (int(time.time() * 1000), uri))
    for table, column in URIS + TEXTS:
        if column not in _columns(database, table):
            continue
        for (value,) in database.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():
            new = _moved(value, there, here, (table, column) in URIS)
            if new != value:
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, value))


def _moved(value: str | None, there: str, here: str, is_uri: bool) -> str | None:
    """What a value of the database is after the move: itself, unless it is a place in the former workspace."""
    for old, new in ((there, here), (Path(there).as_uri(), Path(here).as_uri())):
        if value is not None and (value == old or value.startswith(f"{old}/")):
            moved = new + value[len(old) :]
            return Path(moved).as_uri() if is_uri and old == there else moved
    return value


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")}
