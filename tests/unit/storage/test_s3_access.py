"""Where S3 is and who is asking: pyarrow, boto3 and MLflow go the same way, as the same person."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from pyarrow import fs

from showcases.errors import ConfigError, ObjectStoreError
from showcases.storage.artifacts import ARTIFACTS, Manifest, Workspace
from showcases.storage.s3 import parse_root, with_endpoint
from tests.faulty_proxy import FaultyProxy


def manifest(artifact: str = "gest_ft") -> Manifest:
    step = ARTIFACTS[artifact].step
    return Manifest(artifact, step, {}, {}, "0.1.0", "2026-01-01T00:00:00+00:00", 1.0)


def test_the_endpoint_of_the_environment_counts_unless_the_root_has_one(
    monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy, s3_bucket: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    workspace = Workspace(f"s3://{s3_bucket}/environment")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")  # a worker's environment may be another
    there = pickle.loads(pickle.dumps(workspace))
    there.write_bytes(b"here", "report", "a.txt")
    assert there.read_bytes("report", "a.txt") == b"here" and proxy.requests["PUT"] == 1
    assert parse_root("s3://b/x").endpoint == "http://127.0.0.1:1"
    own = "s3://b/x?endpoint_override=localhost:9000&scheme=http"
    assert with_endpoint(own) == own and parse_root(own).endpoint == "http://localhost:9000"


@pytest.mark.parametrize("source", ["environment", "profile", "root"])
def test_credentials_come_from_the_usual_chain(
    proxy: FaultyProxy, s3_bucket: str, tmp_path: Path, repository: Path, source: str
) -> None:
    files = {"AWS_SHARED_CREDENTIALS_FILE": tmp_path / "credentials", "AWS_CONFIG_FILE": tmp_path / "config"}
    files["AWS_SHARED_CREDENTIALS_FILE"].write_text(
        "[default]\naws_access_key_id = NOT-THIS\naws_secret_access_key = s\n"
        "[lab]\naws_access_key_id = KEY-OF-PROFILE\naws_secret_access_key = s\naws_session_token = t\n"
    )
    files["AWS_CONFIG_FILE"].write_text("[profile lab]\nregion = us-east-1\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {name: str(path) for name, path in files.items()}
    environment |= {"PYTHONPATH": str(repository / "platform"), "AWS_EC2_METADATA_DISABLED": "true"}
    environment |= {
        "environment": {"AWS_ACCESS_KEY_ID": "KEY-OF-ENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "s", "AWS_PROFILE": "lab"},
        "profile": {"AWS_PROFILE": "lab"},
        "root": {"AWS_ACCESS_KEY_ID": "NOT-THIS", "AWS_SECRET_ACCESS_KEY": "s"},
    }[source]
    owner = "KEY-OF-ROOT:a%2Fsecret@" if source == "root" else ""
    root = f"s3://{owner}{s3_bucket}/identity?endpoint_override={proxy.endpoint}"
    code = "import sys\nfrom showcases.storage.artifacts import Workspace\nWorkspace(sys.argv[1]).manifest('reviews')"
    subprocess.run([sys.executable, "-c", code, root], env=environment, check=True, timeout=100)
    assert proxy.keys == {f"KEY-OF-{source.upper()}"}


@pytest.mark.parametrize(
    ("root", "words"),
    [
        (
            "s3://b/x?endpoint=http://localhost",
            "unknown option endpoint; the options are region, scheme",
        ),
        ("s3:///x", "no bucket"),
        ("s3://KEY@b/x", "needs its secret"),
        ("s3://b/x?max_attempts=0", "max_attempts=0 .* above 0"),
        ("s3://b/x?request_timeout=soon", "request_timeout=soon"),
        ("s3://b/a#b?region=us-east-1", "`#` or a percent escape"),  # it was read as s3://b/a without options
        ("s3://b/a%20b", "`#` or a percent escape"),  # the catalog was written to `a b`
    ],
)
def test_a_root_that_is_none_is_refused(root: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_root(root)


def test_another_kind_of_store_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gs2://b/x: .*; a workspace is a folder or s3://bucket/prefix"):
        Workspace("gs2://b/x").manifest("reviews")


def test_a_secret_is_not_printed() -> None:
    place = parse_root("s3://KEY:se%2Fcret@b/x?region=eu-central-1")
    assert (place.access_key, place.secret_key, place.path) == ("KEY", "se/cret", "b/x")
    assert "cret" not in repr(place)
    with pytest.raises(ConfigError) as caught:
        parse_root("s3://KEY:secret@b/x?nonsense=1")
    assert "secret" not in str(caught.value)


def test_mlflow_goes_the_same_way_as_the_same_person(
    monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy, s3_bucket: str, tmp_path: Path
) -> None:
    from jobs.runner.config import PipelineConfig
    from jobs.tracking.config import TrackingConfig
    from jobs.tracking.tracker import step_run

    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS")
    for name in (*names, "AWS_SESSION_TOKEN", "MLFLOW_S3_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1" if "URL" in name else "3")  # given back after the test
    monkeypatch.delenv("AWS_RETRY_MODE")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it knows the credential of another test
    host = urlsplit(proxy.endpoint).netloc
    root = f"s3://KEY-OF-ROOT:a%2Fsecret@{s3_bucket}/tracked?endpoint_override={host}&scheme=http&region=us-east-1"
    config = PipelineConfig(root=root, tracking=TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    with step_run("ingest", config, {}, None) as tracker:
        tracker.log_manifest(manifest())
        uri = tracker.client.get_run(tracker.run_id).info.artifact_uri
    assert uri.startswith(f"s3://{s3_bucket}/tracked/mlflow/")  # and no secret in it
    assert proxy.keys == {"KEY-OF-ROOT"}
    [logged] = Workspace(root).filesystem.get_file_info(fs.FileSelector(f"{uri.removeprefix('s3://')}/manifests"))
    assert logged.base_name == "gest_ft.json"  # by boto3, which finds no other endpoint than the proxy


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Bucket 'b' not found", "no such bucket"),
        ("curlCode: 6, no such host", r"put the region .*no such host"),
    ],
)
def test_a_bucket_without_a_region_is_explained(monkeypatch: pytest.MonkeyPatch, said: str, words: str) -> None:
    def resolve(bucket: str) -> str:
        raise OSError(said)

    monkeypatch.setattr(fs, "resolve_s3_region", resolve)  # it asks Amazon, which a test can't
    with pytest.raises(ObjectStoreError, match=words):
        Workspace("s3://b/x").manifest("reviews")
