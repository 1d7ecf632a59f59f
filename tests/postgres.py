"""A real PostgreSQL server in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian's package puts them


@contextlib.contextmanager
def postgres(folder: Path, port: int) -> Iterator[str]:
    """Runs inside the block; yields the URI of its only database. Skips where there is no server to run.

    Args:
        folder: empty, with a short path, for its sockets lie there.
    """
    found = shutil.which("initdb") or next((str(path / "initdb") for path in BINARIES[::-1]), None)
    if found is None:
        pytest.skip("no PostgreSQL server here (Debian's package: postgresql)")
    user = _user()
    os.chmod(folder, 0o755)
    if user is not None:
        shutil.chown(folder, user)
    binaries, data = Path(found).parent, folder / "data"

    def run(*command: str) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    run(str(binaries / "initdb"), "-D", str(data), "-U", "tracker", "--auth=trust", "--no-sync", "-E", "UTF8")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    # its output into a file: pg_ctl would wait for the end of a pipe that the server holds
    run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://tracker@127.0.0.1:{port}/postgres"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


def _user() -> str | None:
    """Whom it runs as: root it refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
