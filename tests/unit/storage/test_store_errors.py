"""What an object store refuses, or fails to do for good, is told with the object's name and the cure."""

import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from showcases.errors import ArtifactError, ObjectStoreError
from showcases.storage.artifacts import Workspace
from showcases.storage.s3 import retry_read
from showcases.storage.s3_errors import store_error_in
from tests.faulty_proxy import FaultyProxy

CALLS: dict[str, Callable[[Workspace], object]] = {
    "manifest": lambda workspace: workspace.manifest("gest_ft"),
    "read_bytes": lambda workspace: workspace.read_bytes("gest_ft", "manifest.json"),
    "write_bytes": lambda workspace: workspace.write_bytes(b"x", "gest_ft", "manifest.json"),
    "shards": lambda workspace: workspace.shards("gest_ft"),
    "keep_only": lambda workspace: workspace.keep_only("gest_ft", ()),
    "download": lambda workspace: workspace.download("gest_ft", Path(tempfile.mkdtemp())),
    "read_table": lambda workspace: workspace.read_table("gest_ft"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", r"the credential has expired \(ExpiredToken\)"),
        ("denied", r"access denied; .* s3:GetObject"),
        ("region", r"in another region.*region=REGION"),
        ("503", r"throttled the requests"),
    ],
)
def test_a_refusal_names_the_object_and_the_cure(
    proxy: FaultyProxy, behind: Workspace, s3_bucket: str, call: str, kind: str, words: str
) -> None:
    path = behind.path("gest_ft")
    proxy.spoil({kind: 1.0})
    with pytest.raises(ObjectStoreError, match=words) as caught:
        CALLS[call](behind)
    assert str(caught.value).startswith(f"s3://{s3_bucket}/{path.partition('/')[2]}")


def test_only_a_missing_key_is_an_unfinished_artifact(behind: Workspace, proxy: FaultyProxy) -> None:
    assert behind.manifest("gest_ft") is None
    with pytest.raises(FileNotFoundError):
        behind.read_bytes("gest_ft", "manifest.json")
    with pytest.raises(ArtifactError, match=r"jobs\.build_gest"):
        behind.require("gest_ft")
    nowhere = Workspace(proxy.root("no-such-bucket", "x"))
    for call in (CALLS["manifest"], CALLS["write_bytes"], CALLS["read_bytes"]):
        with pytest.raises(ObjectStoreError, match=r"s3://no-such-bucket/x/gest_ft.* no-such-bucket does not exist"):
            call(nowhere)


def test_the_wrong_region_is_told_where_the_store_tells_it(proxy: FaultyProxy, behind: Workspace) -> None:
    proxy.spoil({"region": 1.0})
    with pytest.raises(ObjectStoreError, match=r"another region \(eu-central-1\)"):
        behind.manifest("gest_ft")


def test_a_dead_endpoint_ends_in_an_error(free_ports: list[int]) -> None:
    nobody = Workspace(f"s3://b/x?endpoint_override=http://127.0.0.1:{free_ports[0]}&region=us-east-1&max_attempts=2")
    with pytest.raises(
        ObjectStoreError, match=rf"no complete response from http://127\.0\.0\.1:{free_ports[0]}.*connect"
    ):
        nobody.manifest("reviews")
    with socket.socket() as silent:  # takes the connection and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = f"endpoint_override={address}&region=us-east-1&max_attempts=1&request_timeout=1"
        with pytest.raises(ObjectStoreError, match=rf"s3://b/x/reviews/manifest\.json: no complete .* {address}"):
            Workspace(f"s3://b/x?{options}").manifest("reviews")


def test_what_is_broken_in_itself_is_said(behind: Workspace) -> None:
    behind.write_bytes(b'{"artifact": "gest', "gest_ft", "manifest.json")
    with pytest.raises(ArtifactError, match=r"gest_ft/manifest\.json: invalid manifest .* jobs\.build_gest"):
        behind.manifest("gest_ft")
    reads = iter([b"half", b"", json.dumps({"whole": True})])
    assert retry_read(lambda: json.loads(next(reads))) == {"whole": True}


def test_an_error_that_came_through_other_hands_is_explained() -> None:
    text = (
        "When reading information for key 'ws/images/a.parquet' in bucket 'photos': AWS Error UNKNOWN "
        "(HTTP status 400) during GetObject operation: Unable to parse ExceptionName: ExpiredToken "
        "Message: The provided token has expired."
    )
    outer = RuntimeError("a task failed")
    outer.__cause__ = OSError(text)
    for error in (OSError(text), outer, RuntimeError(f"Traceback ...\nOSError: {text}\n")):
        assert str(store_error_in(error)).startswith("s3://photos/ws/images/a.parquet: the credential has expired")
    told = RuntimeError("ray::task()\nshowcases.errors.ObjectStoreError: s3://photos/a: access denied; ...\n")
    assert str(store_error_in(told)) == "s3://photos/a: access denied; ..."
    assert store_error_in(OSError("disk full")) is None and store_error_in(ValueError("x")) is None


@pytest.mark.parametrize("size", [3, 100_000])
@pytest.mark.parametrize(("kind", "words"), [("expired", "has expired"), ("denied", "access denied")])
def test_a_refusal_in_the_middle_is_explained_whatever_the_object_s_size(
    proxy: FaultyProxy, behind: Workspace, size: int, kind: str, words: str
) -> None:
    behind.write_bytes(b"x" * size, "report", "a.bin")
    proxy.spoil({f"GET {kind}": 1.0})  # HEAD was answered still
    with pytest.raises(ObjectStoreError, match=rf"report/a\.bin: .*{words}"):
        behind.read_bytes("report", "a.bin")
