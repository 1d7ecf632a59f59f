"""The console script `showcases STEP …`, which runs the jobs from any folder.

Runs a step like `python -m`; listing steps, typos and `--version` work without importing Ray.
"""

import difflib
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.cli.commands import COMMANDS, SHELLS

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# As in the Makefile. Token authentication keeps other users of the machine out of the local cluster.
LOCAL_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_AUTH_MODE": "token"}


def usage() -> str:
    """The list of steps."""
    width = max(map(len, COMMANDS)) + 2
    rows = [f"  {name:<{width}}{command.line}" for name, command in COMMANDS.items()]
    shells = "|".join(SHELLS)
    return "\n".join(
        [
            "usage: showcases STEP [OPTION …]",
            "",
            *rows,
            f"  {'completion':<{width}}{shells}: print a shell completion script",
            "",
            "`showcases STEP --help` shows the options of a step with defaults, units and the paper's values.",
            "`--config mini` and `--config paper` are shipped with Showcases.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run a step.

    Raises:
        SystemExit: with 2 if there is no such step, else the step's own.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return
    name, *rest = arguments
    if name == "--version":
        print(version())
    elif name == "completion":
        print(completion(rest))
    elif name in COMMANDS:
        run(name, rest)
    else:
        refuse(name)


def version() -> str:
    import showcases

    return f"showcases {showcases.__version__}"


def completion(arguments: Sequence[str]) -> str:
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        print(f"usage: showcases completion {'|'.join(SHELLS)}", file=sys.stderr)
        raise SystemExit(2)
    from jobs.cli.completion import script

    return script(arguments[0])


def run(name: str, arguments: Sequence[str]) -> None:
    """Run `python -m MODULE ARGUMENTS`."""
    if name != "submit":  # a remote cluster has its own settings
        for variable, value in LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
    sys.argv = [f"showcases {name}", *with_shipped_config(arguments)]
    runpy.run_module(
        COMMANDS[name].module, run_name="__main__", alter_sys=True
    )  # so that its definitions can be pickled


def with_shipped_config(arguments: Sequence[str]) -> list[str]:
    """Replace `--config mini` by the shipped file, unless a local file has that name."""
    known = {file.stem: str(file) for file in CONFIGS.glob("*.yaml")}
    result = list(arguments)
    for place, word in enumerate(result):
        before = result[place - 1] if place else ""
        flag, _, value = word.rpartition("=")
        if (before == "--config" or flag == "--config") and value in known and not Path(value).exists():
            result[place] = f"{flag}={known[value]}" if flag else known[value]
    return result


def refuse(name: str) -> None:
    near = difflib.get_close_matches(name.lower().replace("-", "_"), [*COMMANDS, "completion"], n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    print(f"error: no step `{name}`{hint} `showcases --help` lists them", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
