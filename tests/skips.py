"""Skipped tests are counted, and those that this machine does not explain are named; in CI they fail the run."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
STRICT = "CI"  # environment variable: unexpected skips fail the run if it is set, as `.ci/run` does
ALLOWED = "ALLOWED_SKIPS"  # environment variable: a regular expression of further reasons


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


EXPECTED: dict[str, Callable[[], bool]] = {  # the beginning of a reason: whether it is true on this machine
    "no real data at ": lambda: not SHARED.is_dir(),
    "no GPU": lambda: not _has_gpu(),
    "/proc/cpuinfo is Linux's": lambda: sys.platform != "linux",
    "hosts have a /tmp of their own": lambda: Path(sys.prefix).is_relative_to("/tmp"),
    "the Python below this environment has pyarrow": lambda: True,  # a machine's own affair
}


def is_expected(reason: str, allowed: str = "") -> bool:
    """Whether this machine may skip a test for the reason; `allowed` is a regular expression of others that it may."""
    known = any(reason.startswith(start) and holds() for start, holds in EXPECTED.items())
    return known or bool(allowed and re.search(allowed, reason))


def skips_of(reports: list[pytest.TestReport]) -> list[tuple[str, str]]:
    """(test or file, reason) of each skipped report."""
    found = []
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found.append((report.nodeid, reason.removeprefix("Skipped: ")))
    return found


def _found(config: pytest.Config) -> tuple[int, list[tuple[str, str]]]:
    """How many were skipped, and those that should not have been; nothing within a worker of xdist, which reports."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    skips = [] if terminal is None or hasattr(config, "workerinput") else skips_of(terminal.stats.get("skipped", []))
    return len(skips), [skip for skip in skips if not is_expected(skip[1], os.environ.get(ALLOWED, ""))]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for an unexpected skip, in CI."""
    if os.environ.get(STRICT) and _found(session.config)[1]:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name each unexpected skip."""
    count, wrong = _found(config)
    terminalreporter.write_line(f"{count} skipped, {len(wrong)} of them unexpectedly")
    for name, reason in wrong:
        terminalreporter.write_line(f"UNEXPECTED SKIP {name}: {reason}", red=True)
    if wrong:
        terminalreporter.write_line(f"Install what is missing, or allow it: {ALLOWED}='part of a reason|another'")
