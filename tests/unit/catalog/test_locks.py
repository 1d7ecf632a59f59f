"""Of many processes one holds a lock at a time, on a disk and on S3; a holder that died loses it."""

import multiprocessing
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from showcases.catalog import BusyError, located, locks
from showcases.catalog.locks import Locks, slot_of
from showcases.catalog.tables import connect, open_or_create
from showcases.storage.artifacts import Workspace


def count(uri: str, options: dict[str, str], file: Path, turns: int, start) -> None:
    """Add 1 to the number in a file, `turns` times, by reading and writing it: unsafe without a lock."""
    shared = Locks(uri, options)
    start.wait()
    for _ in range(turns):
        with shared.hold("the file"):
            number = int(file.read_text())
            file.write_text(str(number + 1))


def counted(uri: str, options: dict[str, str], file: Path, processes: int, turns: int) -> int:
    file.write_text("0")
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    made = [context.Process(target=count, args=(uri, options, file, turns, start)) for _ in range(processes)]
    for process in made:
        process.start()
    for process in made:
        process.join(90)
    assert [process.exitcode for process in made] == [0] * processes
    return int(file.read_text())


@pytest.mark.server
def test_no_turn_is_lost(tmp_path: Path) -> None:
    assert counted(str(tmp_path / "store"), {}, tmp_path / "number", 3, 12) == 36


def test_no_turn_is_lost_on_s3(s3_server, tmp_path: Path) -> None:
    uri, options = located(Workspace(s3_server.root("locks")))
    assert counted(uri, options, tmp_path / "number", 2, 4) == 8


def test_a_table_that_another_process_has_begun_and_not_committed_is_no_obstacle(tmp_path: Path) -> None:
    """LanceDB lists a table as soon as its folder is there, and opens it only after its first commit."""
    (tmp_path / "rows.lance" / "data").mkdir(parents=True)
    for _ in range(2):  # the first one makes the table, the second one finds it
        table = open_or_create(connect(str(tmp_path), None), "rows", pa.table({"x": [1]}))
        assert table.count_rows() == 1


def test_a_name_is_held_once_and_others_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    shared = Locks(str(tmp_path))
    assert slot_of("a") != slot_of("c")
    with shared.hold("a") as held, shared.hold("c"):
        assert held.is_safe()
        with pytest.raises(BusyError, match=r"after 0\.2 s waiting for other writers"), Locks(str(tmp_path)).hold("a"):
            raise AssertionError
    with shared.hold("a"):
        pass


def test_it_is_given_back_when_the_block_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    shared = Locks(str(tmp_path))
    with pytest.raises(ZeroDivisionError), shared.hold("a"):
        raise ZeroDivisionError
    with shared.hold("a"):
        pass


def test_who_died_or_slept_too_long_loses_it_and_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LEASE_S", 0.1)
    shared, other = Locks(str(tmp_path)), Locks(str(tmp_path))
    with shared.hold("a") as held:
        taken, done = threading.Event(), threading.Event()

        def second() -> None:
            with other.hold("a"):
                taken.set()
                done.wait(30)

        thread = threading.Thread(target=second)
        thread.start()
        assert taken.wait(30) and not held.is_safe()
    monkeypatch.setattr(locks, "WAIT_S", 0.0)
    monkeypatch.setattr(locks, "LEASE_S", 60.0)
    done.set()  # the first one's end did not give away what is the second one's now
    thread.join()
    with shared.hold("a") as held:
        assert held.is_safe()
