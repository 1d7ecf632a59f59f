"""inspect: checks the data of a workspace, as far as it is finished; exits with 1 if splits leak.

    python -m jobs.inspect_data --root workspace [--config FILE] [--out FOLDER] [--html FILE]

Prints Table 1, histograms, duplicates and leaks, and writes them as inspection.md, .html and .json to _inspect/ in the
workspace. It is not a pipeline step: it starts no cluster, changes no artifact, and never reads photo bytes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.runner.config import parser
from jobs.runner.exits import exit_on_error
from showcases.gest.inspection.inspection import Inspection
from showcases.gest.inspection.look import inspect_workspace
from showcases.storage.artifacts import Workspace

FOLDER = "_inspect"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line; accepts the pipeline's options, but uses only the root.

    Raises:
        SystemExit: with 1 if splits leak, or there is nothing to check.
    """
    options = parser("python -m jobs.inspect_data")
    options.add_argument("--out", type=Path | None, help="output folder (default: _inspect/ in the workspace)")
    options.add_argument("--html", type=Path | None, help="additional file for the HTML page")
    given = options.parse_args(sys.argv[1:] if argv is None else list(argv))
    with exit_on_error():
        workspace = Workspace(given.root)
        found = inspect_workspace(workspace)
        places = write(found, workspace, given.out, given.html)
        print("\n".join([found.to_markdown(), *places]), flush=True)
    if found.errors:
        print(f"error: {found.verdict}", file=sys.stderr, flush=True)
        raise SystemExit(1)


def write(found: Inspection, workspace: Workspace, out: Path | None, html: Path | None) -> list[str]:
    """Write all formats; returns their paths."""
    places = []
    for name, data in found.files().items():
        if out is None:
            workspace.write_bytes(data, FOLDER, name)
            places.append(workspace.path(FOLDER, name))
        else:
            places.append(_written(out / name, data))
    return places if html is None else [*places, _written(html, found.to_html().encode())]


def _written(file: Path, data: bytes) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return str(file)


if __name__ == "__main__":
    main()
