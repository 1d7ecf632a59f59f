"""`python -m serve_apps.keys create|list|rotate|revoke --root WORKSPACE`: the service's API keys.

A new key is printed once, alone on standard output; only its hash is stored.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta

from pydantic import ValidationError

from serve_apps.access import tokens
from serve_apps.access.keys import Key, Secret, utc_now
from serve_apps.access.store import KeyStore
from serve_apps.terms import SCOPES
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace

ONCE = "the key is shown only once; running gateways accept it within seconds"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    options = _parser().parse_args(argv)
    try:
        options.do(KeyStore(Workspace(options.root)), options)
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            print(f"error: {'.'.join(map(str, found['loc']))}: {found['msg']}", file=sys.stderr)
        raise SystemExit(1) from None
    except (ShowcasesError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def create(store: KeyStore, options: argparse.Namespace) -> None:
    """Create a key and print it."""
    key_id, now = tokens.new_id(), utc_now()
    token = tokens.new_token(key_id)
    key = Key(
        id=key_id,
        tenant=options.tenant,
        scopes=options.scopes.split(","),
        rate=options.rate,
        burst=options.burst or max(1, round(2 * options.rate)),
        quota=options.quota,
        created=now,
        expires=None if options.expires is None else now + options.expires,
        note=options.note,
        secrets=(Secret(digest=tokens.digest(token), created=now),),
    )
    with store.lock():
        store.write(key)
    print(token)
    print(f"key {key_id} of tenant {key.tenant}: {ONCE}", file=sys.stderr)


def rotate(store: KeyStore, options: argparse.Namespace) -> None:
    """Give a key a new secret and print it; the old one stays valid for the overlap."""
    token = tokens.new_token(options.id)
    with store.lock():
        store.write(store.read(options.id).rotated(token, options.overlap, utc_now()))
    print(token)
    print(f"key {options.id}: the old secret stays valid for {options.overlap}; {ONCE}", file=sys.stderr)


def revoke(store: KeyStore, options: argparse.Namespace) -> None:
    """Revoke a key with all its secrets."""
    with store.lock():
        key = store.read(options.id)
        store.write(key.model_copy(update={"revoked": key.revoked or utc_now()}))
    print(f"key {options.id}: revoked; running gateways refuse it within seconds", file=sys.stderr)


def show(store: KeyStore, options: argparse.Namespace) -> None:
    """Print all keys, without their secrets."""
    row = "{:12}  {:12}  {:16}  {:>8}  {:>10}  {:10}  {:10}  {}"
    print(row.format("id", "tenant", "scopes", "rate/s", "quota/day", "expires", "state", "note"))
    now = utc_now()
    for key_id in sorted(store.ids()):
        key = store.read(key_id)
        scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
        state = (
            "revoked" if key.revoked else "expired" if key.refusal(now) else "rotating" if key.overlaps(now) else "ok"
        )
        expires = key.expires.strftime("%Y-%m-%d") if key.expires else "never"
        quota = key.quota or "unlimited"
        print(row.format(key_id, key.tenant, scopes, f"{key.rate:g}", quota, expires, state, key.note))


def duration(text: str) -> timedelta:
    """90d, 12h, 30m or 0d."""
    found = re.fullmatch(r"(\d{1,5})([dhm])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a duration is a number of days, hours or minutes: 90d, 12h, 30m")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[found.group(2)]
    return timedelta(**{unit: int(found.group(1))})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve_apps.keys", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, do: Callable[[KeyStore, argparse.Namespace], None]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=do.__doc__, description=do.__doc__)
        made.add_argument("--root", default="workspace", help="where keys are stored: a folder or s3://bucket/prefix")
        made.set_defaults(do=do)
        return made

    made = command("create", create)
    made.add_argument("--tenant", required=True, help="tenant of the key: lower-case letters, digits, dashes")
    made.add_argument("--scopes", default="read", help="any of read,write,admin; none includes another")
    made.add_argument("--rate", type=float, default=10, help="average requests per second")
    made.add_argument("--burst", type=int, help="requests in a burst (default: 2 s of --rate)")
    made.add_argument("--quota", type=int, help="requests per UTC day (default: unlimited)")
    made.add_argument("--expires", type=duration, help="e.g. 90d (default: never)")
    made.add_argument("--note", default="", help="owner or purpose")
    command("list", show)
    made = command("rotate", rotate)
    made.add_argument("id", help="as `list` shows it")
    made.add_argument("--overlap", type=duration, default=timedelta(days=1), help="how long the old secret stays valid")
    command("revoke", revoke).add_argument("id", help="as `list` shows it")
    return parser


if __name__ == "__main__":
    main()
