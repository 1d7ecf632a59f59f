"""Attacks on the running service, each with what it got, as a Markdown table; exits with 1 where one went too far.

    python -m benchmarks.attacks.run --root workspace

WRITES to the workspace: keys, which are revoked in the end. Verdicts: `held` (refused or answered as an honest request
would be), `proxy` (Ray Serve's HTTP proxy lets it through, whatever is in front of the service must not), `BAD`.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from benchmarks.attacks import connections, images, keys, requests
from benchmarks.attacks.attack import Row, Target
from benchmarks.faults.contract import key
from benchmarks.harness import DEMO, parse
from benchmarks.service import started

GROUPS: tuple[Callable[[Target], list[Row]], ...] = (
    requests.paths,
    requests.filters,
    requests.bodies,
    requests.heads,
    keys.keys,
    images.images,
    connections.smuggling,
    connections.slow,
    connections.many,
)


def table(rows: Sequence[Row]) -> str:
    lines = ["| attack | request | got | verdict |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(row.line() for row in rows)])


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__, argv, root=("workspace", DEMO))
    with tempfile.TemporaryDirectory() as folder, key(options.root) as token:
        log = Path(folder) / "log"
        service = started("serve_apps.run", options.root, "--keys", options.root, log=log)
        with service as (url, pid):
            rows = attack(Target(url, token, pid, log, options.root))
    print(table(rows))
    bad = sum(row.verdict == "BAD" for row in rows)
    print(f"\n{len(rows)} attacks, {bad} went too far")
    raise SystemExit(1 if bad else 0)


def attack(target: Target) -> list[Row]:
    """All of them, and after each group whether the service still answers an honest request."""
    rows: list[Row] = []
    for group in GROUPS:
        rows += group(target)
        answer = httpx.get(f"{target.url}/v1/businesses", headers=target.headers, timeout=60)
        rows.append(
            Row(f"{group.__name__}: after all", "an honest request", str(answer.status_code), answer.is_success)
        )
    return rows


if __name__ == "__main__":
    main()
