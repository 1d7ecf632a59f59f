"""An artifact as a run leaves it that was killed before its end: an unfinished build, and nothing in its place."""

from pathlib import Path

from jobs.runner.step import fingerprint_of
from showcases.storage.artifacts import MANIFEST, Workspace
from showcases.storage.builds import BUILDS, unfinished_builds


def under_way(workspace: Workspace, artifact: str) -> Workspace:
    """The workspace as a step sees it that is building the artifact, or was when it was killed."""
    builds = unfinished_builds(workspace, artifact)
    return workspace.placed({artifact: f"{BUILDS}/{artifact}/{builds[-1]}"}) if builds else workspace


def unfinish(workspace: Workspace, *artifacts: str) -> None:
    """Make finished artifacts of a local workspace unfinished builds of the same config and inputs."""
    for artifact in artifacts:
        manifest = workspace.require(artifact)
        build = Path(workspace.root, BUILDS, artifact, f"{fingerprint_of(manifest.config, manifest.inputs)}-killed")
        build.parent.mkdir(parents=True, exist_ok=True)
        Path(workspace.root, artifact).rename(build)
        (build / MANIFEST).unlink()
