"""schemathesis against the running service: half of the time as an open service, half with a key of all scopes.

    python -m benchmarks.faults.contract --root workspace [--seconds 600]

WRITES to the workspace: feedback that the fuzz gives, and a key that is revoked in the end. All checks are on but one:
positive_data_acceptance, since some rules cannot be said in JSON Schema (an id is printable, a review has a word, no
word is both included and excluded), so that the service refuses, with 422, bodies that fit the schema.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import DEMO, parse
from benchmarks.service import started
from serve_apps import keys
from serve_apps.access.tokens import key_id_of

# Its own list of how one may refuse lacks those of layers that look at a request before its values are looked at.
REFUSALS = (400, 401, 403, 404, 405, 406, 408, 412, 413, 414, 415, 422, 429, 431, 503)
CHECKS = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")


@contextlib.contextmanager
def key(root: str, *more: str) -> Iterator[str]:
    """A key that is as good as never used up; revoked after the block. `more` are flags of serve_apps.keys create."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        flags = ["--root", root, "--tenant", "tools", "--scopes", "read,write,admin", "--rate", "1e6", *more]
        keys.main(["create", *flags])
    token = said.getvalue().strip()
    try:
        yield token
    finally:
        keys.main(["revoke", "--root", root, str(key_id_of(token))])


def fuzz(url: str, seconds: float, token: str | None) -> int:
    """The exit status of schemathesis: 0 where it found nothing."""
    program = str(Path(sys.executable).with_name("st"))
    time_limit = ("--max-time", str(int(seconds)), "--continue-on-failure")
    options = ["--request-timeout", "60", "--generation-database", "none", "--no-color"]
    header = ["--header", f"Authorization: Bearer {token}"] if token else []
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(f"[checks]\nnegative_data_rejection.expected-statuses = {list(REFUSALS)}\n")
        config.flush()
        command = [program, "--config-file", config.name, "run", f"{url}/openapi.json", *CHECKS, *time_limit]
        return subprocess.run([*command, *options, *header], check=False).returncode


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__, argv, root=("workspace", DEMO), seconds=(600.0, "of both together"))
    with started("serve_apps.run", options.root) as (url, _):
        found = [fuzz(url, options.seconds / 2, None)]
    with key(options.root) as token, started("serve_apps.run", options.root, "--keys", options.root) as (url, _):
        found.append(fuzz(url, options.seconds / 2, token))
    raise SystemExit(max(found))


if __name__ == "__main__":
    main()
