"""URIs of a workspace's MLflow database and files; and their repair after the workspace was moved or copied.

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

DATABASE = "mlflow.db"  # in the workspace; in the working directory if the workspace is on S3
FILES = "mlflow"  # folder of the workspace: the files of its runs
LOCK_SECONDS = 60.0  # timeout for another process' lock on the database
URIS = (  # (table, column) of MLflow's schema that MLflow reads as a URI, that may be in the workspace
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("model_version_tags", "value"),
)
TEXTS = (("tags", "value"), ("params", "value"))  # may contain a path in the workspace


def place(root: str) -> str:
    """A workspace's location: an absolute path, or its URI without credentials and options."""
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
    """URI of the files of the workspace's runs."""
    return f"{place(root)}/{FILES}" if "://" in root else (Path(place(root)) / FILES).as_uri()


def is_own(root: str, tracking_uri: str) -> bool:
    """Whether a tracking URI is that of the database in the workspace's folder."""
    return "://" not in root and sqlite_file(tracking_uri) == database_file(root)


def sqlite_uri(file: Path) -> str:
    """SQLAlchemy's URI of a sqlite file, with `?` and `%` of the path percent-encoded.

    After a folder with one of these, slashes are encoded, too: MLflow creates the parent folder of the undecoded path,
    and would create a second folder `a%3Fb` beside `a?b`.
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
    """MLflow's URI for a workspace: the given one, else that of the workspace's own database.

    The workspace's own database is updated to the workspace's current location.

    Raises:
        ConfigError: it can't be read, or has to be repaired and can't be written.
    """
    uri = tracking_uri or sqlite_uri(database_file(root))
    if is_own(root, uri):
        with contextlib.suppress(FileNotFoundError):
            relocate(root)
    return uri


def relocate(root: str) -> list[str]:
    """Update the database of a moved or copied workspace to its current files.

    Runs that were active in the former location can't continue here: they become KILLED.

    Returns:
        The former locations; empty if nothing was changed.

    Raises:
        FileNotFoundError: there is no database yet.
        ConfigError: it can't be read or written.
    """
    file, here = database_file(root), place(root)
    if not file.exists():
        raise FileNotFoundError(file)
    try:
        with _connected(file, "ro") as database:
            if not _former_places(database, here):
                return []
        with _connected(file, "rw") as database:
            database.execute("BEGIN IMMEDIATE")  # only one of concurrent processes updates it
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
    """Former folders of this workspace, from its experiments."""
    if not _columns(database, "experiments"):  # another process is creating it
        return []
    found = {_path(location) for (location,) in database.execute("SELECT DISTINCT artifact_location FROM experiments")}
    folders = [path.parent for path in found if path is not None and path.name == FILES]
    return sorted(str(folder) for folder in folders if str(folder) != here and _is_former(database, folder, here))


def _is_former(database: sqlite3.Connection, there: Path, here: str) -> bool:
    """Whether it was this workspace, and not another one whose steps logged to this database.

    Such a workspace has its files, but no database, in its own folder.
    """
    runs = [_path(uri) for (uri,) in database.execute("SELECT artifact_uri FROM runs")]
    tails = [path.relative_to(there) for path in runs if path is not None and path.is_relative_to(there)]
    has_files = any((Path(here) / tail).exists() for tail in tails)
    is_other = any((there / tail).exists() for tail in tails) and not (there / DATABASE).exists()
    return has_files or not is_other


def _path(location: str | None) -> Path | None:
    """Path of a location on this machine, given as a path or as a file URI."""
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
    """A database value after the move: unchanged, unless it is a location in the former workspace."""
    for old, new in ((there, here), (Path(there).as_uri(), Path(here).as_uri())):
        if value is not None and (value == old or value.startswith(f"{old}/")):
            moved = new + value[len(old) :]
            return Path(moved).as_uri() if is_uri and old == there else moved
    return value


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")}
