"""URIs of a workspace's MLflow database and files, held against those who read them: SQLAlchemy, sqlite, MLflow."""

import sqlite3
from pathlib import Path

import pytest
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import create_engine, text

from showcases.tracking_db import database_file, database_uri, files_uri, is_own, place, sqlite_file, sqlite_uri

NAMES = ["plain", "a?b", "a%20b", "100%", "a#b", "a b", "ü", 'it\'s "q" & $x;', "a?b #c %20 ü/below", "a@b:c/d"]


@pytest.mark.parametrize("name", NAMES)
def test_every_folder_has_its_database_in_it(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    root.mkdir(parents=True)
    uri = database_uri(str(root))
    engine = create_engine(uri)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (x INTEGER)"))
    engine.dispose()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [root / "mlflow.db"]
    assert sqlite_file(uri) == database_file(str(root)) == root / "mlflow.db" and is_own(str(root), uri)
    # the folder that MLflow makes for the database, whose URI it does not decode, is there already
    assert Path(uri.removeprefix("sqlite:///")).parent.is_dir()
    assert local_file_uri_to_path(files_uri(str(root))) == str(root / "mlflow")


def test_a_database_elsewhere_is_not_the_workspaces_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_uri("ws") == sqlite_uri(tmp_path / "ws" / "mlflow.db")  # wherever the process goes later
    assert database_uri("s3://bucket/ws?region=x") == sqlite_uri(tmp_path / "mlflow.db")
    assert files_uri("s3://key:secret@bucket/ws?region=x") == "s3://bucket/ws/mlflow"
    assert place("s3://key:secret@bucket/ws?region=x") == "s3://bucket/ws"
    assert database_uri("ws", "http://host:5000") == "http://host:5000"
    assert not is_own("ws", sqlite_uri(tmp_path / "mlflow.db")) and not is_own("ws", "http://host:5000")


def test_a_database_that_is_just_being_made_is_left_alone(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "mlflow.db").close()
    before = (tmp_path / "mlflow.db").stat().st_mtime_ns
    assert database_uri(str(tmp_path)) == f"sqlite:///{tmp_path}/mlflow.db"
    assert (tmp_path / "mlflow.db").stat().st_mtime_ns == before
