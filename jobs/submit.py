"""Submits a step to a Ray cluster and follows it: `python -m jobs.submit [OPTION …] STEP [STEP'S OPTION …]`.

Extends Ray's job submission: checks the package size and that the workspace is shared, reconnects if the connection
drops, and resubmits a job that lost its node or driver, which then resumes.
"""

import argparse
import json
import logging
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import yaml
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient
from ray.util.state import list_nodes

from jobs.cli.commands import COMMANDS
from jobs.cli.main import CONFIGS
from jobs.runner.exits import exit_on_error
from jobs.submission.follow import BROKEN, Follower, PatientClient, exit_code, follow_hint, is_retryable
from jobs.submission.interpreter import VARIABLE
from jobs.submission.package import check_size, runtime_env
from showcases.errors import ConfigError
from showcases.storage.claims import SUBMISSION

ADDRESS = "http://127.0.0.1:8265"
RETRIES = "retries of a job that lost its node, driver or workers; other failures aren't retried (default: 0)"
PATIENCE = "how long to keep reconnecting to the cluster (default: 600)"


def parser() -> argparse.ArgumentParser:
    """The options; those after STEP are the step's own."""
    result = argparse.ArgumentParser(prog="python -m jobs.submit", description=__doc__)
    add = result.add_argument
    add(
        "--address",
        help=f"address of the cluster's dashboard (default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS, else {ADDRESS})",
    )
    add("--retries", type=int, default=0, metavar="N", help=RETRIES)
    add("--no-wait", action="store_true", help="submit without following")
    add("--stop-on-interrupt", action="store_true", help="Ctrl-C stops the job; by default it only stops following")
    add("--patience", type=float, default=600, metavar="SECONDS", help=PATIENCE)
    add("--shared-folder", action="store_true", help="all nodes mount the folder that --root names (NFS, EFS)")
    add("--follow", metavar="JOB", help="follow an existing job instead of submitting one")
    steps = [name for name, command in COMMANDS.items() if command.remote]
    add("step", nargs="?", choices=steps, metavar="STEP", help=", ".join(steps))
    add("arguments", nargs=argparse.REMAINDER, metavar="...", help="the step's own options")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Submit and follow; exits with the job's code."""
    options = parser().parse_args(argv)
    if (options.step is None) == (options.follow is None):
        parser().error("set a STEP to submit, or a job to --follow")
    for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)  # too verbose
    with exit_on_error():
        client = connect(options.address)
        if options.follow:
            info = followed(Follower(client, options.follow, options.patience), options.stop_on_interrupt)
            print_outcome(options.follow, info)
            raise SystemExit(exit_code(info))
        raise SystemExit(submit(client, options))


def connect(address: str | None) -> JobSubmissionClient:
    """The cluster's client.

    Raises:
        ConfigError: the cluster can't be reached, or rejects us.
    """
    try:
        return PatientClient(address)
    except (*BROKEN, AuthenticationError) as error:
        raise ConfigError(
            f"no cluster answers at {address or 'RAY_API_SERVER_ADDRESS, RAY_ADDRESS or ' + ADDRESS} ({error}); is it "
            "running, and its dashboard reachable (`ray dashboard cluster.yaml`, `kubectl port-forward`)? A cluster "
            "with token authentication needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error


def submit(client: JobSubmissionClient, options: argparse.Namespace) -> int:
    """Submit the step, and resubmit it if it was lost.

    Returns:
        Its exit code; 0 with --no-wait.
    """
    root = root_of(options.arguments)
    if "://" not in root:
        check_folder(root, alive_nodes(client), options.shared_folder)
    name = f"showcases-{options.step}-{secrets.token_hex(4)}"
    environment = runtime_env()
    environment["env_vars"] = {
        **environment.get("env_vars", {}),
        SUBMISSION: name,
    }  # a retry takes over the claims of the previous attempt
    print(check_size(environment), file=sys.stderr, flush=True)
    command = entrypoint(options.step, options.arguments)
    for attempt in range(options.retries + 1):
        job = name if attempt == 0 else f"{name}-{attempt + 1}"
        follower = Follower(client, job, options.patience)
        follower.patiently(lambda job=job: send(client, job, command, environment))  # type: ignore[misc]
        print(f"job {job} at {client.get_address()}", file=sys.stderr, flush=True)
        if options.no_wait:
            print(follow_hint(client, job), file=sys.stderr)
            return 0
        info = followed(follower, options.stop_on_interrupt)
        print_outcome(job, info)
        if not is_retryable(info) or attempt == options.retries:
            break
        print(
            f"the job lost a node or process; resubmitting it ({attempt + 1} of {options.retries})",
            file=sys.stderr,
            flush=True,
        )
    return exit_code(info)


def send(client: JobSubmissionClient, job: str, command: str, environment: dict[str, object]) -> None:
    """Submit under a fixed name, so that retrying the request doesn't create a second job."""
    try:
        client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment)
    except RuntimeError as error:
        if "already exists" not in str(error):
            raise


def entrypoint(step: str, arguments: Sequence[str]) -> str:
    """The shell command on the cluster, with local config files inlined."""
    words = list(arguments)
    for place, word in enumerate(words):
        flag, _, value = word.rpartition("=")
        if flag == "--config":
            words[place] = f"--config={inlined(value)}"
        elif place and words[place - 1] == "--config":
            words[place] = inlined(word)
    return f'"${{{VARIABLE}:-python}}" {shlex.join(["-m", COMMANDS[step].module, *words])}'


def inlined(file: str) -> str:
    return json.dumps(config_of(file))


def config_of(file: str) -> dict[str, object]:
    """The content of a config file, local or shipped with Showcases.

    Raises:
        ConfigError: no such file, or not a YAML mapping.
    """
    path = next((each for each in (Path(file), CONFIGS / f"{file}.yaml") if each.is_file()), None)
    if path is None:
        raise ConfigError(
            f"--config {file}: no such file, nor is it one of {sorted(c.stem for c in CONFIGS.glob('*'))}"
        )
    found = yaml.safe_load(path.read_text())
    if not isinstance(found, dict):
        raise ConfigError(f"--config {file}: not a mapping of options")
    return found


def root_of(arguments: Sequence[str]) -> str:
    """The workspace root of a step with these arguments: from the flag, else the config file, else the default."""
    values = {"root": "workspace"}
    for before, word in zip(["", *arguments], arguments, strict=False):
        flag, _, value = word.partition("=") if word.startswith("--") and "=" in word else (before, "", word)
        if flag == "--root":
            values["given"] = value
        elif flag == "--config":
            values["root"] = str(config_of(value).get("root", values["root"]))
    return values.get("given", values["root"])


def alive_nodes(client: JobSubmissionClient) -> int:
    return len(
        list_nodes(address=client.get_address(), filters=[("state", "=", "ALIVE")], raise_on_missing_output=False)
    )


def check_folder(root: str, nodes: int, shared_folder: bool) -> None:
    """Check that a workspace folder can be used on the cluster.

    Raises:
        ConfigError: nodes can't share it, or it would be deleted with the job.
    """
    if not Path(root).is_absolute():
        raise ConfigError(
            f"--root {root}: a relative path is inside the job's copy of the code, which Ray deletes after the job; "
            "use s3://bucket/prefix, or an absolute folder that all nodes mount"
        )
    if nodes > 1 and not shared_folder:
        raise ConfigError(
            f"--root {root}: the cluster has {nodes} nodes, which don't share a local folder; use "
            "s3://bucket/prefix, or pass --shared-folder if all of them mount this folder (NFS, EFS)"
        )


def followed(follower: Follower, stop: bool) -> JobDetails:
    """Follow to the end; Ctrl-C stops following, or stops the job."""
    try:
        return follower.to_the_end()
    except KeyboardInterrupt:
        interrupted(follower, stop)


def interrupted(follower: Follower, stop: bool) -> NoReturn:
    client, job = follower.client, follower.job
    if stop:
        follower.patiently(lambda: client.stop_job(job))
        print(f"\n{job}: stopping", file=sys.stderr)
    else:
        print(f"\n{job} is still running. {follow_hint(client, job)}", file=sys.stderr)
    raise SystemExit(130)


def print_outcome(job: str, info: JobDetails) -> None:
    """Print how the job ended."""
    more = f": {info.message.splitlines()[0].split(', last available logs')[0]}" if info.message else ""
    print(f"{job} {str(info.status).lower()}{more}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
