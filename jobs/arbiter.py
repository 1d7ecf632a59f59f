"""The first choice of several that are made side by side; a module of its own, as its process needs no torch."""

import json
from typing import Any

from showcases.artifacts import Workspace


class Arbiter:
    """Keeps the first choice in a file of the workspace, so that all agree, also those of a later run.

    Args:
        place: of the file: artifact and name.
    """

    def __init__(self, workspace: Workspace, *place: str) -> None:
        self.workspace, self.place = workspace, place
        self._choice = noted(workspace, *place)

    def choice(self) -> dict[str, Any] | None:
        return self._choice

    def settle(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The choice that stands: this one, where there was none."""
        if self._choice is None:
            self.workspace.write_bytes(json.dumps(choice).encode(), *self.place)
            self._choice = choice
        return self._choice


def noted(workspace: Workspace, *place: str) -> dict[str, Any] | None:
    """What was settled, if anything was."""
    try:
        return json.loads(workspace.read_bytes(*place))
    except FileNotFoundError:
        return None
