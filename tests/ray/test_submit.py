"""Jobs sent to a head of its own: the README's line, and what `jobs.submit` adds to Ray's own submission."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.job_submission import JobStatus, JobSubmissionClient

from jobs import submit
from jobs.submission.follow import Follower, exit_code, is_retryable
from showcases.storage.artifacts import Workspace
from tests.cut_line import Line
from tests.docs.shell import commands_of, replaced
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Of a shell with the virtual environment active, without this repository on its path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RAY_ADDRESS")}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `python` that lacks pyarrow: the virtual environment's own base."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "python").symlink_to(Path(sys.executable).resolve())
    if subprocess.run([folder / "python", "-c", "import pyarrow"], capture_output=True).returncode == 0:
        pytest.skip("the Python below this environment has pyarrow, too")
    return folder


@pytest.fixture(scope="module")
def head(module_ports: list[int], environment: dict[str, str], bare_python: Path) -> Iterator[str]:
    """The dashboard's address of a head with ports and a folder of its own.

    It is started by its full path, and the `python` on its PATH has none of the packages.
    """
    gcs, dashboard, agent_http, agent_grpc, client, metrics = module_ports
    short_folder = Path(tempfile.mkdtemp(prefix="sc-", dir="/tmp"))
    command = [
        *(str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1"),
        *(f"--port={gcs}", f"--ray-client-server-port={client}", f"--metrics-export-port={metrics}"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent_http}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        *(f"--temp-dir={short_folder}", f"--object-store-memory={200 * 2**20}"),
    ]
    log = short_folder / "head.log"
    with log.open("wb") as output:
        bare = environment | {"PATH": f"{bare_python}{os.pathsep}/usr/bin{os.pathsep}/bin"}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=bare)
    try:
        address = f"http://127.0.0.1:{dashboard}"
        wait_for_jobs_api(address, process, log)
        yield address
    finally:
        process.terminate()  # `ray start --block` ends what it started
        process.wait(timeout=60)
        shutil.rmtree(short_folder, ignore_errors=True)


def wait_for_jobs_api(address: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    request = urllib.request.Request(
        f"{address}/api/jobs/", headers={"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"no jobs API at {address}:\n{log.read_text()[-4000:]}")


@pytest.mark.timeout(400)
def test_readme_line_writes_the_artifact(
    head: str, s3_server, tiny_corpus: Path, repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    workspace = Workspace(s3_server.root("submitted", "showcases"))
    first = commands_of(repository / "README.md", "jobs.submit")[0]
    command = replaced(
        first,
        {
            "s3://my-bucket/showcases": workspace.root,
            "/data/image_review_all.json": str(tiny_corpus / "image_review_all.json"),
            "http://mlflow.example:5000": f"sqlite:///{tmp_path / 'mlflow.db'}",
        },
    )
    there = environment | {"RAY_API_SERVER_ADDRESS": head}
    done = subprocess.run(command, cwd=repository, env=there, capture_output=True, text=True, timeout=360)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert "[ingest] done" in done.stdout
    manifest = workspace.require("reviews")
    written = (tiny_corpus / "image_review_all.json").read_text().splitlines()
    assert manifest.rows["reviews"] + sum(manifest.failures.values()) == len(written)
    assert workspace.read_table("reviews").num_rows == manifest.rows["reviews"] > 0


def test_a_job_runs_under_the_python_of_its_cluster(
    head: str, bare_python: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = submit.connect(head)
    options = submit.parser().parse_args(["ingest", "--root", "s3://bucket/prefix", "--help"])
    assert submit.submit(client, options) == 0  # imports Ray, pyarrow and all else that a step does
    assert "--ingest.block_kb" in capfd.readouterr().out
    job = client.submit_job(entrypoint="command -v python", runtime_env=submit.runtime_env())
    line = re.compile(r"^/.*python$", re.MULTILINE)  # Ray's own line may come before it or after it
    wait_until(lambda: line.search(client.get_job_logs(job)))
    assert Path(line.findall(client.get_job_logs(job))[-1]).parent.samefile(BIN)


def send(client: JobSubmissionClient, name: str, command: str) -> str:
    return client.submit_job(entrypoint=command, submission_id=name)


def test_a_cut_line_costs_nothing_of_the_log(head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on = tmp_path / "on"
    with Line(int(head.rpartition(":")[2])) as line:
        client = submit.connect(f"http://127.0.0.1:{line.port}")
        wait = f"until test -e {on}; do sleep 0.1; done"
        send(client, "counts", f"for i in 1 2 3 4; do echo line $i; test $i = 2 && {wait}; done; exit 3")
        follower = Follower(client, "counts", patience_s=60)

        def cut_and_mend() -> None:
            wait_until(lambda: follower.shown > 0)
            line.cut()
            on.touch()
            wait_until(lambda: line.refused > 0)
            line.mend()

        fault = threading.Thread(target=cut_and_mend)
        fault.start()
        info = follower.to_the_end()
        fault.join()
    said = capsys.readouterr()
    assert [text for text in said.out.splitlines() if text.startswith("line")] == [f"line {n}" for n in range(1, 5)]
    assert "connection to the cluster lost" in said.err
    assert exit_code(info) == 3
    assert not is_retryable(info)


@pytest.mark.slow
def test_a_killed_driver_is_sent_again_and_wrong_input_is_not(
    head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = tmp_path / "tried"
    commands = {
        # The second try has the name of the first, by which it may take over the first one's claims.
        "ingest": f"grep -qx $SHOWCASES_SUBMISSION {tried} && exit 0; echo $SHOWCASES_SUBMISSION > {tried}; kill -9 $$",
        "embed": f"echo again >> {tmp_path / 'wrong'}; exit 1",
    }
    monkeypatch.setattr(submit, "entrypoint", lambda step, arguments: commands[step])
    client = submit.connect(head)
    for step, code in (("ingest", 0), ("embed", 1)):
        options = submit.parser().parse_args(["--retries", "2", step, "--root", "s3://bucket/prefix"])
        assert submit.submit(client, options) == code, step
    assert tried.exists()
    assert (tmp_path / "wrong").read_text() == "again\n"
    assert capsys.readouterr().err.count("sent again (1 of 2)") == 1


@pytest.mark.slow
def test_interrupt_leaves_or_stops_the_job(head: str, environment: dict[str, str], repository: Path) -> None:
    client = submit.connect(head)
    send(client, "sleeps", "echo asleep; sleep 120")
    command = [sys.executable, "-m", "jobs.submit", "--address", head, "--follow", "sleeps"]
    path = {"PYTHONPATH": f"{repository / 'platform'}{os.pathsep}{repository}"}
    for flags, status in (([], JobStatus.RUNNING), (["--stop-on-interrupt"], JobStatus.STOPPED)):
        followed = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment | path
        )
        assert followed.stdout is not None
        while followed.stdout.readline() != "asleep\n":
            assert followed.poll() is None
        followed.send_signal(signal.SIGINT)
        said = followed.communicate(timeout=60)[1]
        assert followed.returncode == 130, said
        assert ("--follow sleeps" in said) == (status == JobStatus.RUNNING)
        wait_until(lambda status=status: client.get_job_status("sleeps") == status)
