"""Claims: leases with fencing tokens; one run at a time writes an artifact.

`_claims/<artifact>.json` names the run that may write the artifact. It changes by compare-and-swap only; each
new owner increments its epoch, the fencing token, which is stored in the manifest. The claim of a dead process is taken
over immediately on the same machine, elsewhere after its heartbeat, `_claims/_alive/<token>`, has not changed for
ALIVE_SECONDS.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from showcases.errors import ClaimError, ConfigError, ObjectStoreError
from showcases.storage.artifacts import Workspace
from showcases.storage.conditional import Cell, LocalCell, S3Cell

CLAIMS = "_claims"  # folder under the workspace root
ALIVE = "_alive"  # folder of heartbeats: one file per run, rewritten every BEAT_SECONDS
BEAT_SECONDS = 5.0
ALIVE_SECONDS = 30.0  # without a heartbeat, after which a run counts as dead
SUBMISSION = (
    "SHOWCASES_SUBMISSION"  # environment variable: a retry of the same submission takes over from the earlier one
)


@dataclass(frozen=True)
class Owner:
    """The process that holds a claim.

    Attributes:
        step: name of the step, for messages.
        machine: hostname, boot and process namespace: within one, `pid` and `started` identify a process.
        started: start of the process, in clock ticks since boot.
        submission: id of `jobs.submit`; "" without one.
        since: UTC, ISO 8601.
    """

    step: str
    machine: str
    pid: int
    started: str
    submission: str
    since: str

    @classmethod
    def here(cls, step: str) -> "Owner":
        """This process."""
        pid = os.getpid()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(step, machine(), pid, started(pid) or "", os.environ.get(SUBMISSION, ""), since)

    def __str__(self) -> str:
        return f"{self.step} (process {self.pid} on {self.machine.partition('/')[0]}, since {self.since})"


@dataclass(frozen=True)
class Record:
    """Content of a claim's file."""

    epoch: int
    token: str
    owner: Owner
    is_held: bool = True

    @classmethod
    def parse(cls, content: bytes | None) -> "Record | None":
        """Parse a claim; None if it is missing or invalid, which counts as not held."""
        try:
            fields = json.loads(content or b"null")
            return cls(**fields | {"owner": Owner(**fields["owner"])})
        except (ValueError, TypeError, KeyError):
            return None

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()


class Claim:
    """The right to write some artifacts, until it is released or another run takes over.

    Attributes:
        token: identifies this run; begins with its start time, for readable folder names.
        epochs: fencing token by artifact; higher than that of every earlier run.
    """

    def __init__(self, workspace: Workspace, step: str) -> None:
        self.workspace = Workspace(workspace.root)
        self.place = workspace.root.partition("?")[0] if "://" in workspace.root else workspace.root  # for messages
        self.owner = Owner.here(step)
        self.token = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self.epochs: dict[str, int] = {}
        self._cells: dict[str, Cell] = {}
        self._beats = 0
        self._ended = threading.Event()

    def take(self, name: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Take the claim of one artifact; may wait up to ALIVE_SECONDS for its holder's heartbeat.

        Raises:
            ClaimError: a living run holds it.
        """
        cell = cell_of(self.workspace, name)
        holder = Record.parse(cell.read())
        if holder is not None and holder.is_held and not self._may_replace(holder, say):
            raise ClaimError(
                f"{self.place}: {name} is being written by another run, {holder.owner}; wait until it has "
                "ended, stop it, or use another --root. Nothing was changed"
            )

        def swap(content: bytes | None) -> bytes:
            found = Record.parse(content)
            if found is not None and found.is_held and (holder is None or found.token != holder.token):
                raise ClaimError(f"{self.place}: {name} was just claimed by another run, {found.owner}")
            return Record((found.epoch if found else 0) + 1, self.token, self.owner).to_json()

        taken = Record.parse(cell.update(swap))
        assert taken is not None
        if isinstance(cell, S3Cell) and taken.epoch == 1 and not cell.has_conditional_writes():
            say(
                f"{self.place}: this object store ignores conditional writes "
                "(If-None-Match), so it can't protect a workspace from concurrent runs"
            )
        self.epochs[name], self._cells[name] = taken.epoch, cell

    def _may_replace(self, holder: Record, say: Callable[[str], None]) -> bool:
        if holder.owner.submission and holder.owner.submission == self.owner.submission:
            return True
        if holder.owner.machine == machine():
            return started(holder.owner.pid) != holder.owner.started
        say(f"claimed by {holder.owner}; waiting up to {ALIVE_SECONDS:.0f} s for its heartbeat")
        return not shows_life(self.workspace, holder.token)

    def check(self, names: Sequence[str] = ()) -> None:
        """Check that this run still holds the claims (by default all).

        Raises:
            ClaimError: another run has taken over.
        """
        for name in names or tuple(self._cells):
            found = Record.parse(self._cells[name].read())
            if found is None or found.token != self.token:
                who = f"another run, {found.owner}," if found else "another run"
                raise ClaimError(
                    f"{self.place}: {who} has taken over {name} while {self.owner.step} was running: its "
                    "result was discarded"
                )

    def cell(self, name: str) -> Cell:
        """The claim file of an artifact that this run has taken."""
        return self._cells[name]

    def release(self) -> None:
        """Release the claims that this run still holds."""
        self._ended.set()
        for cell in self._cells.values():
            with contextlib.suppress(ClaimError, ObjectStoreError):  # otherwise it expires like a dead run's
                cell.update(self._given_back)
        self._cells.clear()
        path = self.workspace.path(CLAIMS, ALIVE, self.token)
        with contextlib.suppress(OSError):
            self.workspace.filesystem.delete_file(path)

    def _given_back(self, content: bytes | None) -> bytes:
        found = Record.parse(content)
        if found is None or found.token != self.token:
            raise ClaimError("taken over by another run")
        return replace(found, is_held=False).to_json()

    def beat(self) -> None:
        """Write a heartbeat; an unreachable store is not an error."""
        self._beats += 1
        with contextlib.suppress(Exception):
            self.workspace.write_bytes(str(self._beats).encode(), CLAIMS, ALIVE, self.token)

    def beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self.beat()


@contextlib.contextmanager
def hold(
    workspace: Workspace, names: Sequence[str], step: str, say: Callable[[str], None] = lambda _: None
) -> Iterator[Claim]:
    """Hold the claims of these artifacts inside the block.

    Args:
        names: of artifacts, or of anything else in the workspace that needs a single writer.
        step: name of the step, for other runs' messages.
        say: called with a status message while waiting for another run.

    Raises:
        ClaimError: a living run holds one of them; in this case none is held.
    """
    claim = Claim(workspace, step)
    claim.beat()
    try:
        for name in sorted(names):
            claim.take(name, say)
        threading.Thread(target=claim.beat_on, name="claim", daemon=True).start()
        yield claim
    finally:
        claim.release()


def shows_life(workspace: Workspace, token: str) -> bool:
    """Whether the run's heartbeat changes within ALIVE_SECONDS, by this machine's clock."""

    def seen() -> bytes | None:
        try:
            return workspace.read_bytes(CLAIMS, ALIVE, token)
        except FileNotFoundError:
            return None

    before, end = seen(), time.monotonic() + ALIVE_SECONDS
    while time.monotonic() < end:
        time.sleep(min(1.0, BEAT_SECONDS / 5))
        if seen() != before:
            return True
    return False


def cell_of(workspace: Workspace, name: str) -> Cell:
    """The claim file of this name."""
    if workspace.is_local:
        return LocalCell(Path(workspace.path(CLAIMS, f"{name}.json")))
    if not workspace.root.startswith("s3://"):
        raise ConfigError(f"{workspace.root}: a workspace is a folder or s3://bucket/prefix")
    return S3Cell(workspace.root, f"{CLAIMS}/{name}.json")


def machine() -> str:
    """Hostname, boot id and process namespace; if they are equal, two processes see each other's pids."""
    return "/".join((socket.gethostname(), _read_or_empty(_boot_id), _read_or_empty(_process_namespace)))


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _process_namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def _read_or_empty(read: Callable[[], str]) -> str:
    try:
        return read()
    except OSError:  # no /proc
        return ""


def started(pid: int) -> str | None:
    """Start of a process on this machine, in clock ticks since boot; None if it does not exist.

    Without /proc (macOS), "" for every existing process.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
