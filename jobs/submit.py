"""Send a step to a Ray cluster, follow it, end as it ends: `python -m jobs.submit [OPTION …] STEP [STEP'S OPTION …]`.

Around Ray's own job submission: what is sent is checked for size, a workspace that the nodes can't share is refused,
a cut line is mended, and a job that lost its node or driver is sent again, to go on from what is finished.
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
from jobs.submission.follow import BROKEN, Follower, PatientClient, exit_code, how_to_go_on, worth_another_try
from jobs.submission.interpreter import VARIABLE
from jobs.submission.package import check_size, runtime_env
from showcases.errors import ConfigError
from showcases.storage.claims import SUBMISSION

ADDRESS = "http://127.0.0.1:8265"
RETRIES = (
    "times that a job is sent again which lost its node, its driver or what it worked with; one that failed by its "
    "input is not (default: 0)"
)
PATIENCE = "how long the cluster may be out of reach before it is given up (default: 600)"


def parser() -> argparse.ArgumentParser:
    """The options; what follows STEP is the step's own."""
    result = argparse.ArgumentParser(prog="python -m jobs.submit", description=__doc__)
    add = result.add_argument
    add("--address", help=f"of the cluster's dashboard (default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS, else {ADDRESS})")
    add("--retries", type=int, default=0, metavar="N", help=RETRIES)
    add("--no-wait", action="store_true", help="send it and leave")
    add("--stop-on-interrupt", action="store_true", help="Ctrl-C stops the job; else it only stops following it")
    add("--patience", type=float, default=600, metavar="SECONDS", help=PATIENCE)
    add("--shared-folder", action="store_true", help="all nodes mount the folder that --root names (NFS, EFS)")
    add("--follow", metavar="JOB", help="follow a job that was sent before, in place of sending one")
    steps = [name for name, command in COMMANDS.items() if command.remote]
    add("step", nargs="?", choices=steps, metavar="STEP", help=", ".join(steps))
    add("arguments", nargs=argparse.REMAINDER, metavar="...", help="the step's own options")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Submit and follow; exits with the job's code."""
    options = parser().parse_args(argv)
    if (options.step is None) == (options.follow is None):
        parser().error("name a STEP to send, or a job to --follow")
    for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they tell each .gitignore heeded, each connection closed
    with exit_on_error():
        client = connect(options.address)
        if options.follow:
            info = followed(Follower(client, options.follow, options.patience), options.stop_on_interrupt)
            told(options.follow, info)
            raise SystemExit(exit_code(info))
        raise SystemExit(submit(client, options))


def connect(address: str | None) -> JobSubmissionClient:
    """The cluster's client.

    Raises:
        ConfigError: nobody answers there, or not to us.
    """
    try:
        return PatientClient(address)
    except (*BROKEN, AuthenticationError) as error:
        raise ConfigError(
            f"no cluster answers at {address or 'RAY_API_SERVER_ADDRESS, RAY_ADDRESS or ' + ADDRESS} ({error}); is it "
            "up, and the way to its dashboard open (`ray dashboard cluster.yaml`, `kubectl port-forward`)? A cluster "
            "that asks for a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error


def submit(client: JobSubmissionClient, options: argparse.Namespace) -> int:
    """Send the step, again where it was lost.

    Returns:
        Its exit code; 0 with --no-wait.
    """
    root = root_of(options.arguments)
    if "://" not in root:
        check_folder(root, alive_nodes(client), options.shared_folder)
    name = f"showcases-{options.step}-{secrets.token_hex(4)}"
    environment = runtime_env()
    environment["env_vars"] = {**environment.get("env_vars", {}), SUBMISSION: name}  # a later try replaces an earlier
    print(check_size(environment), file=sys.stderr, flush=True)
    command = entrypoint(options.step, options.arguments)
    for attempt in range(options.retries + 1):
        job = name if attempt == 0 else f"{name}-{attempt + 1}"
        follower = Follower(client, job, options.patience)
        follower.patiently(lambda job=job: send(client, job, command, environment))  # type: ignore[misc]
        print(f"job {job} at {client.get_address()}", file=sys.stderr, flush=True)
        if options.no_wait:
            print(how_to_go_on(client, job), file=sys.stderr)
            return 0
        info = followed(follower, options.stop_on_interrupt)
        told(job, info)
        if not worth_another_try(info) or attempt == options.retries:
            break
        print(f"it was lost, not wrong: sent again ({attempt + 1} of {options.retries})", file=sys.stderr, flush=True)
    return exit_code(info)


def send(client: JobSubmissionClient, job: str, command: str, environment: dict[str, object]) -> None:
    """Submit under a name of ours, so that a request whose answer was lost is not a second job."""
    try:
        client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment)
    except RuntimeError as error:
        if "already exists" not in str(error):
            raise


def entrypoint(step: str, arguments: Sequence[str]) -> str:
    """The shell command on the cluster. Config files of this machine are not there: their content goes along."""
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
    """The content of a config file, here or among those that come with Showcases.

    Raises:
        ConfigError: no such file, or no YAML mapping.
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
    """The workspace that a step with these arguments uses: the flag, else the config file's, else the default."""
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
    """Check that a workspace in a folder can work there.

    Raises:
        ConfigError: the nodes could not share it, or it would go with the job.
    """
    if not Path(root).is_absolute():
        raise ConfigError(
            f"--root {root}: on the cluster this is a folder within the job's own copy of the code, which Ray removes "
            "after the job; name s3://bucket/prefix, or an absolute folder that all nodes mount"
        )
    if nodes > 1 and not shared_folder:
        raise ConfigError(
            f"--root {root}: the cluster has {nodes} nodes, and a folder of one is not there on the others; name "
            "s3://bucket/prefix, or say --shared-folder if all of them mount this folder (NFS, EFS)"
        )


def followed(follower: Follower, stop: bool) -> JobDetails:
    """Follow to the end; Ctrl-C leaves, or stops the job."""
    try:
        return follower.to_the_end()
    except KeyboardInterrupt:
        interrupted(follower, stop)


def interrupted(follower: Follower, stop: bool) -> NoReturn:
    client, job = follower.client, follower.job
    if stop:
        follower.patiently(lambda: client.stop_job(job))
        print(f"\n{job}: told to stop", file=sys.stderr)
    else:
        print(f"\n{job} goes on. {how_to_go_on(client, job)}", file=sys.stderr)
    raise SystemExit(130)


def told(job: str, info: JobDetails) -> None:
    """Say how it ended."""
    more = f": {info.message.splitlines()[0].split(', last available logs')[0]}" if info.message else ""
    print(f"{job} {str(info.status).lower()}{more}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
