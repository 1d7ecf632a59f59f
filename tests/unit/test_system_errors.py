"""A full disk, a read-only one, a missing right: one line with what to do, whoever met it, and a code of its own."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from showcases.errors import AccessDeniedError, ConfigError, DiskFullError
from showcases.system_errors import check_folder, explain, system_error_in
from tests.mounts import FULL, LARGE, NO_INODES, READ_ONLY, python, run_with

PROGRAM = """
import os, resource, sqlite3, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from jobs.runner.exits import exit_on_error
from showcases.storage.artifacts import Workspace
folder = sys.argv[1]
table = pa.table({'x': list(range(100_000))})
def sqlite():
    database = sqlite3.connect(folder + '/a.db')
    database.execute('create table t (x)')
    database.execute('insert into t values (zeroblob(1000000))')
    database.commit()
writers = {
    'workspace': lambda: Workspace(folder).write_table(table, '_x', 'a.parquet'),
    'python': lambda: Path(folder, 'a').write_bytes(bytes(1 << 20)),
    'arrow': lambda: pq.write_table(table, folder + '/a.parquet'),
    'sqlite': sqlite,
}
exec(sys.argv[2])
for name in sys.argv[3:]:
    try:
        with exit_on_error():
            writers[name]()
    except SystemExit as ended:
        print(name, ended.code, file=sys.stderr)
"""


def written(mount: str, disk: Path, *writers: str) -> str:
    done = run_with(mount, disk, [*python(PROGRAM), str(disk), "", *writers])
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_full_disk_is_one_line_whoever_writes(tmp_path: Path) -> None:
    writers = ("workspace", "python", "arrow", "sqlite")
    said = written(FULL, tmp_path / "disk", *writers).splitlines()
    assert said[1::2] == [f"{name} {DiskFullError.exit_code}" for name in writers]
    assert DiskFullError.exit_code == 74
    assert all(line.startswith("error: ") and "is full" in line and "Make room" in line for line in said[::2])


def test_a_read_only_disk_is_one_line_whoever_writes(tmp_path: Path) -> None:
    writers = ("workspace", "python", "arrow")
    said = written(READ_ONLY, tmp_path / "disk", *writers).splitlines()
    assert said[1::2] == [f"{name} {AccessDeniedError.exit_code}" for name in writers]
    assert AccessDeniedError.exit_code == 77
    assert all(f"error: {tmp_path / 'disk'}" in line and "read-only" in line for line in said[::2])


def test_a_limit_on_file_size_and_another_users_folder(tmp_path: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    cases = {limit: (74, "ulimit -f")}
    if os.geteuid() == 0:  # root alone can become another user
        cases["Path(folder).chmod(0o700); os.setuid(65534)"] = (77, "permission denied")
    for before, (code, words) in cases.items():
        command = [*python(PROGRAM), str(tmp_path), before, "python"]
        done = subprocess.run(command, capture_output=True, text=True)
        said, ended = done.stderr.splitlines()
        assert words in said
        assert ended == f"python {code}"


@pytest.mark.parametrize(
    ("mount", "kind", "words"),
    [
        (FULL, "DiskFullError", "is full"),
        (NO_INODES, "DiskFullError", "no inodes left"),
        (READ_ONLY, "AccessDeniedError", "read-only"),
        (LARGE, "", ""),
    ],
)
def test_a_folder_is_tried_before_it_is_needed(mount: str, kind: str, words: str, tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from showcases.system_errors import check_folder
for name in ("", "new/below"):
    folder = Path(sys.argv[1], name)
    try:
        check_folder(folder, 32 << 20, "the workspace")
        print("", [p for p in folder.rglob("*") if p.is_file()], sep="|")
    except Exception as error:
        print(type(error).__name__, error, sep="|")
"""
    disk = tmp_path / "disk"
    done = run_with(mount, disk, [*python(code), str(disk)])
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert len(lines) == 2, done.stderr
    assert all(name == kind and words in said for name, said in lines)
    if not kind:
        assert all(said == "[]" for _, said in lines)  # the probe leaves nothing


def test_too_little_room_says_how_much(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"\(the workspace\): [\d,]+ MiB are free, 1,099,511,\d+,\d+ MiB are"):
        check_folder(tmp_path, 2**60, "the workspace")


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(AccessDeniedError, match="is a file, not a folder"):
            check_folder(folder)


def test_other_errors_are_not_explained() -> None:
    assert explain(errno.ENOENT, "/x") is None
    assert explain(errno.EACCES, None) is None  # a port, or a process
    assert system_error_in(ConfigError("[Errno 2] No such file or directory: '/x'")) is None
    assert system_error_in(PermissionError(errno.EACCES, "Permission denied")) is None
    assert system_error_in(ValueError("the disk is red")) is None


def test_the_cause_is_found_behind_others() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/part")
        except OSError as error:
            raise RuntimeError("a step failed") from error
    except RuntimeError as error:
        found = system_error_in(error)
    assert isinstance(found, DiskFullError)
    assert "/data/part: the disk is full" in str(found)
    rust = RuntimeError("LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28)")
    assert isinstance(system_error_in(rust), DiskFullError)
