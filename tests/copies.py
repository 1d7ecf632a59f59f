"""Which photos hold the bytes of which others."""

from showcases.storage.artifacts import Workspace


def copies_of(workspace: Workspace) -> dict[str, list[str]]:
    """For each photo that holds the bytes of others the ids of these."""
    found: dict[str, list[str]] = {}
    for row in workspace.read_table("images", ["photo_id", "same_as"]).to_pylist():
        if row["same_as"] is not None:
            found.setdefault(row["same_as"], []).append(row["photo_id"])
    return found
