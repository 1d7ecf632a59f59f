"""Builds and claims, in a folder and on S3 over real HTTP: one run writes, and what is finished stays until then."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from showcases.errors import ArtifactError, ClaimError
from showcases.storage import builds, claims
from showcases.storage.artifacts import ARTIFACTS, MANIFEST, Manifest, Workspace
from showcases.storage.claims import Claim, hold
from tests.faulty_proxy import FaultyProxy

FT = "gest_ft"


@pytest.fixture(params=["folder", "s3"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    if request.param == "folder":
        return Workspace(str(tmp_path / "workspace"))
    server = request.getfixturevalue("s3_server")
    return Workspace(server.root(f"builds-{abs(hash(request.node.name)) % 10**10}", "some/prefix"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "ALIVE_SECONDS", 1.5)
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.2)


def texts(*names: str) -> pa.Table:
    return pa.table({"review_id": list(names), "text": [f"text of {name}" for name in names]})


def manifest(rows: int) -> Manifest:
    return Manifest(FT, ARTIFACTS[FT].step, {}, {}, "0", "now", 1.0, {"reviews": rows})


def write(workspace: Workspace, claim: Claim, *names: str, fingerprint: str = "abc") -> Workspace:
    build = builds.begin(workspace, [FT], fingerprint, claim)
    build.write_table(texts(*names), FT)
    return build


def make(workspace: Workspace, *names: str) -> None:
    with hold(workspace, [FT], "test") as claim:
        builds.finish(write(workspace, claim, *names), [manifest(len(names))], claim)


def ids(workspace: Workspace) -> list[str]:
    return workspace.read_table(FT)["review_id"].to_pylist()


def test_the_finished_one_stays_until_its_successor_is_in_place(workspace: Workspace) -> None:
    make(workspace, "a", "b")
    before = workspace.require(FT)
    with hold(workspace, [FT], "test") as claim:
        build = write(workspace, claim, "c")
        assert ids(workspace) == ["a", "b"] and workspace.require(FT) == before
        assert [path.rpartition("/")[2] for path in build.shards(FT)] == ["part-00000.parquet"]
        builds.finish(build, [manifest(1)], claim)
    assert ids(workspace) == ["c"] and workspace.require(FT).digest != before.digest
    selector = pa.fs.FileSelector(workspace.path_under_root(), recursive=True)
    found = [info.path for info in workspace.filesystem.get_file_info(selector) if info.path.endswith(".parquet")]
    assert len(found) == 1  # nothing of the old one is left


def test_rows_that_were_counted_and_do_not_lie_there_are_not_put_in_place(workspace: Workspace) -> None:
    make(workspace, "a")
    with hold(workspace, [FT], "test") as claim, pytest.raises(ArtifactError, match="1 rows found, but 2 were written"):
        builds.finish(write(workspace, claim, "b"), [manifest(2)], claim)
    assert ids(workspace) == ["a"]


def test_files_that_come_and_go_afterwards_are_noticed(workspace: Workspace) -> None:
    make(workspace, "a", "b")
    assert builds.damage(workspace, workspace.require(FT)) == ""
    workspace.write_table(texts("stray"), FT, "part-00001.parquet")
    assert "2 files" in builds.damage(workspace, workspace.require(FT))
    with pytest.raises(ArtifactError, match=r"3 rows in 2 files, but 2 in its manifest.*jobs\.build_gest"):
        workspace.read_table(FT)
    for path in workspace.shards(FT):
        workspace.filesystem.delete_file(path)
    assert "0 files" in builds.damage(workspace, workspace.require(FT))


def test_a_second_run_is_refused_while_the_first_is_alive(workspace: Workspace) -> None:
    with hold(workspace, [FT, "gest_s1"], "first") as claim:
        with (
            pytest.raises(ClaimError, match=rf"gest_ft is being written by another run, first \(process {os.getpid()}"),
            hold(workspace, [FT], "second"),
        ):
            pass
        claim.check()
    with hold(workspace, [FT], "second") as later:
        assert later.epochs[FT] == claim.epochs[FT] + 1


OTHER = """
import sys, time
from showcases.storage import claims
from showcases.storage.artifacts import Workspace
claims.BEAT_SECONDS = 0.2
if sys.argv[2]: claims.machine = lambda: sys.argv[2]
with claims.hold(Workspace(sys.argv[1]), ["gest_ft"], "other"):
    print("holds", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(workspace: Workspace) -> Iterator[object]:
    """Starts another process that holds the claim, on this machine or one that only looks like another."""
    started: list[subprocess.Popen[str]] = []

    def start(machine: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", OTHER, workspace.root, machine]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_run_of_this_machine_is_replaced_at_once(workspace: Workspace, other, monkeypatch) -> None:
    process = other()
    with pytest.raises(ClaimError, match=rf"other \(process {process.pid}"), hold(workspace, [FT], "me"):
        pass
    process.kill()
    process.wait()
    monkeypatch.setattr(claims, "shows_life", lambda *_: pytest.fail("there was no need to wait"))
    with hold(workspace, [FT], "me") as claim:
        assert claim.epochs[FT] == 2


def test_a_run_elsewhere_is_replaced_once_it_shows_no_life(workspace: Workspace, other) -> None:
    process = other("another-machine/boot/namespace")
    with pytest.raises(ClaimError, match="other"), hold(workspace, [FT], "me"):
        pass
    process.send_signal(signal.SIGSTOP)  # a zombie: cut off, but not dead
    said: list[str] = []
    with hold(workspace, [FT], "me", said.append):
        assert "heartbeat" in said[0]


def test_who_was_replaced_cannot_finish(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make(workspace, "old")
    monkeypatch.setenv(claims.SUBMISSION, "job-1")  # lost, as jobs.submit sees it, and sent again
    with hold(workspace, [FT], "first") as first:
        build = write(workspace, first, "a")
        with hold(workspace, [FT], "second") as second:
            with pytest.raises(ClaimError, match="another run, second .* has taken over gest_ft while first"):
                builds.finish(build, [manifest(1)], first)
            assert ids(workspace) == ["old"]
            builds.finish(write(workspace, second, "b", "c"), [manifest(2)], second)
        with pytest.raises(ClaimError):
            builds.finish(build, [manifest(1)], first)
    assert ids(workspace) == ["b", "c"] and workspace.require(FT).claim == second.token


def test_on_s3_who_wakes_up_after_its_last_check_is_still_refused(s3_server, monkeypatch) -> None:
    workspace = Workspace(s3_server.root("builds-woken"))
    monkeypatch.setenv(claims.SUBMISSION, "job-1")
    with hold(workspace, [FT], "first") as first:
        build = write(workspace, first, "a")
        check = first.check

        def pause(names=()) -> None:
            check(names)
            if names == [FT] and check_again.pop():
                monkeypatch.setattr(first, "check", check)
                with hold(workspace, [FT], "second") as second:
                    builds.finish(write(workspace, second, "b"), [manifest(1)], second)

        check_again = [True, False]  # at the second call: between the manifest's ETag and its PUT
        monkeypatch.setattr(first, "check", pause)
        with pytest.raises(ClaimError, match="another run finished it first"):
            builds.finish(build, [manifest(1)], first)
    assert ids(workspace) == ["b"]


def test_what_was_killed_between_the_renames_is_put_in_place(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    make(workspace, "old")
    root = Path(workspace.root)
    with hold(workspace, [FT], "killed") as claim:
        build = Path(write(workspace, claim, "new").path(FT))
        (build / MANIFEST).write_text(replace(manifest(1), claim=claim.token).to_json())
        (root / FT).rename(build.parent / f"{builds.REPLACED}{claim.token}")
    assert workspace.manifest(FT) is None
    builds.restore(workspace, FT)
    assert ids(workspace) == ["new"] and workspace.require(FT).claim == claim.token


def test_an_unfinished_build_is_gone_on_with_and_an_edit_begins_with_a_copy(workspace: Workspace) -> None:
    make(workspace, "a")
    with hold(workspace, [FT], "killed") as claim:
        write(workspace, claim, "b", fingerprint="same")
    with hold(workspace, [FT], "later") as claim:
        assert builds.begin(workspace, [FT], "same", claim).shards(FT) == []
        again = builds.begin(workspace, [FT], "same", claim, resumes=True)
        assert len(again.shards(FT)) == 1
        assert builds.begin(workspace, [FT], "other", claim, resumes=True).shards(FT) == []
        copy = builds.begin(workspace, [FT], "edited", claim, resumes=True, edits=[FT])
        assert len(copy.shards(FT)) == 1
        copy.write_table(texts("changed"), FT)
        assert ids(workspace) == ["a"]
        builds.finish(again, [manifest(1)], claim)
    assert ids(workspace) == ["b"]


def test_a_claim_file_of_nonsense_counts_as_none(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.write_bytes(json.dumps(["?"]).encode(), claims.CLAIMS, f"{FT}.json")
    with hold(workspace, [FT], "me") as claim:
        claim.check()


def test_a_store_that_ignores_conditions_is_named(s3_server, proxy: FaultyProxy) -> None:
    s3_server.create_bucket("builds-old-store")
    said: list[str] = []
    with hold(Workspace(proxy.root("builds-old-store", "x")), [FT], "me", said.append):
        assert said == []
    proxy.spoil({"PUT unconditional": 1.0})
    with hold(Workspace(proxy.root("builds-old-store", "y")), [FT], "me", said.append):
        assert "ignores conditional writes" in said[0]


def test_an_answer_that_breaks_off_is_asked_for_again(s3_server, proxy: FaultyProxy) -> None:
    s3_server.create_bucket("builds-truncated")
    workspace = Workspace(proxy.root("builds-truncated", "x"))
    make(workspace, "a")
    proxy.spoil({"GET truncated": 1.0}, limit=4, target=claims.CLAIMS)
    make(workspace, "b")
    assert proxy.injected["truncated"] == 4 and ids(workspace) == ["b"]


def test_a_swap_whose_answer_is_lost_counts_as_done(s3_server, proxy: FaultyProxy) -> None:
    s3_server.create_bucket("builds-lost")
    proxy.spoil({"PUT lost": 1.0}, limit=3)
    workspace = Workspace(proxy.root("builds-lost", "x"))
    make(workspace, "a")
    assert proxy.injected["lost"] == 3 and ids(workspace) == ["a"]
