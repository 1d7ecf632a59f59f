"""What `jobs.submit` decides without a cluster: what is sent, where the workspace may be, what is tried again."""

import json
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml
from ray.exceptions import NodeDiedError
from ray.job_submission import JobErrorType, JobStatus

from jobs import submit
from jobs.runner import exits
from jobs.runner.exits import exit_on_error
from jobs.submission import package
from jobs.submission.follow import exit_code, is_retryable
from showcases.errors import ConfigError


def ended(status: JobStatus, code: int | None = None, error: JobErrorType | None = None) -> types.SimpleNamespace:
    return types.SimpleNamespace(status=status, driver_exit_code=code, error_type=error, message=None)


@pytest.mark.parametrize(
    ("info", "code", "again"),
    [
        (ended(JobStatus.SUCCEEDED, 0), 0, False),
        (ended(JobStatus.STOPPED), 143, False),
        (ended(JobStatus.FAILED, 1, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 1, False),
        (ended(JobStatus.FAILED, 2, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 2, False),
        (ended(JobStatus.FAILED, exits.UNAVAILABLE, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 69, True),
        (ended(JobStatus.FAILED, 74, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 74, False),  # the disk stays full
        (ended(JobStatus.FAILED, 77, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 77, False),  # so does a missing right
        (ended(JobStatus.FAILED, exits.LOST, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 75, True),
        (ended(JobStatus.FAILED, -9, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 137, True),
        (ended(JobStatus.FAILED, 137, JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR), 137, True),  # of a shell's child
        (ended(JobStatus.FAILED, None, JobErrorType.JOB_SUPERVISOR_ACTOR_DIED), 1, True),
        (ended(JobStatus.FAILED, None, JobErrorType.RUNTIME_ENV_SETUP_FAILURE), 1, False),
    ],
)
def test_how_it_ended_says_whether_to_try_again(info: types.SimpleNamespace, code: int, again: bool) -> None:
    assert (exit_code(info), is_retryable(info)) == (code, again)  # type: ignore[arg-type]


def test_a_step_that_lost_a_node_ends_with_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error():
        raise NodeDiedError("gone")
    assert ended.value.code == exits.LOST
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a process or node was lost (NodeDiedError: ")


@pytest.mark.parametrize(
    ("root", "nodes", "shared", "told"),
    [
        ("workspace", 1, True, "deletes after the job"),
        ("/mnt/work", 1, False, None),
        ("/mnt/work", 3, False, "3 nodes"),
        ("/mnt/work", 3, True, None),
    ],
)
def test_a_folder_must_be_shared(root: str, nodes: int, shared: bool, told: str | None) -> None:
    if told is None:
        submit.check_folder(root, nodes, shared)
    else:
        with pytest.raises(ConfigError, match=told):
            submit.check_folder(root, nodes, shared)


def test_the_root_is_the_steps(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("root: s3://bucket/mine\n")
    assert submit.root_of([]) == "workspace"
    assert submit.root_of(["--config", str(file), "--seed", "1"]) == "s3://bucket/mine"
    assert submit.root_of(["--root=/flag", "--config", str(file)]) == "/flag"
    own_server = "s3://bucket/mine?endpoint_override=http://10.0.0.1:9000&region=us-east-1"
    assert submit.root_of(["--root", own_server]) == submit.root_of([f"--root={own_server}"]) == own_server


def test_config_files_go_along_by_content(tmp_path: Path) -> None:
    from jobs.runner.config import parse

    file = tmp_path / "mine.yaml"
    file.write_text("train_selector: {loop: {epochs: 7}}\nroot: it's here\n")
    program, flag, module, *options = shlex.split(submit.entrypoint("train_selector", ["--config", str(file)]))
    assert (program, flag, module) == ("${SHOWCASES_PYTHON:-python}", "-m", "jobs.train_selector")
    file.unlink()  # as on the cluster
    config = parse(options, "test")
    assert (config.train_selector.loop.epochs, config.root) == (7, "it's here")
    [_, written] = shlex.split(submit.entrypoint("embed", ["--config=mini"]))[-1].split("=", 1)
    assert json.loads(written)["cluster"]["cpus_per_worker"] == 2
    with pytest.raises(ConfigError, match="no such file"):
        submit.entrypoint("embed", ["--config", "nowhere.yaml"])


def test_what_is_sent_is_small_and_whole(repository: Path) -> None:
    environment = package.runtime_env()
    found = package.sizes(environment)
    assert "platform/showcases" in found
    assert not {name.split("/")[0] for name in found} & {"docs", "tests", "benchmarks", ".git", ".venv"}
    assert 2**20 / 2 < sum(found.values()) < 10 * 2**20
    assert environment["env_vars"] == yaml.safe_load((repository / "jobs/runtime_env.yaml").read_text())["env_vars"]


def test_workers_of_a_job_import_the_hook_that_names_their_interpreter(repository: Path) -> None:
    from ray._private.ray_constants import WORKER_PROCESS_SETUP_HOOK_ENV_VAR

    hook = package.runtime_env()["env_vars"][WORKER_PROCESS_SETUP_HOOK_ENV_VAR]
    code = (
        f"import os; from {hook.rpartition('.')[0]} import setup; setup(); setup(); os.system('python -c \"print(1)\"')"
    )
    code += "; print(os.environ['SHOWCASES_PYTHON'], os.environ['PATH'])"
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(repository)}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True)
    folder = Path(sys.executable).parent
    assert done.stdout.splitlines()[-1] == f"{sys.executable} {folder}:/usr/bin:/bin", done.stderr


def test_too_much_is_refused_with_the_largest_folders(tmp_path: Path) -> None:
    (tmp_path / "photos" / "more").mkdir(parents=True)
    (tmp_path / "photos" / "more" / "a.jpg").write_bytes(b"x" * 3000)
    (tmp_path / "code.py").write_bytes(b"x" * 100)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "b.jpg").write_bytes(b"x" * 9000)
    (tmp_path / ".gitignore").write_text("kept/\n")
    environment = {"working_dir": str(tmp_path), "excludes": []}
    assert package.sizes(environment)["photos/more"] == 3000
    with pytest.raises(ConfigError, match=r"Largest: photos/more/"):
        package.check_size(environment, limit=3000)
    package.check_size(environment, limit=4000)  # what git ignores is not sent


def test_there_must_be_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a checkout"):
        package.runtime_env(tmp_path)
