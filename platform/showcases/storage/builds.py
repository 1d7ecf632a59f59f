"""Builds: an artifact is written to a staging folder, verified, and swapped in atomically.

A build is the folder `_builds/<artifact>/<fingerprint>-<token of the run>`. On a file system it is renamed to
`<artifact>`, after the previous one is renamed away; on S3, which has no rename, the manifest names the folder and is
replaced by a conditional PUT. Both happen only while the run holds the artifact's claim. Steps that can resume continue
an unfinished build of the same config and inputs.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pyarrow import fs

from showcases.errors import ArtifactError, ClaimError
from showcases.storage.artifacts import ARTIFACTS, MANIFEST, Manifest, Workspace
from showcases.storage.claims import Claim, cell_of
from showcases.storage.conditional import S3Cell
from showcases.storage.s3_errors import list_files, store_errors_of
from showcases.storage.shards import count_rows

BUILDS = "_builds"  # folder under the workspace root
REPLACED = "replaced-"  # prefix of a replaced artifact's folder before removal
TEMPORARY = ".tmp"  # suffix of files that are being written


def begin(
    workspace: Workspace,
    artifacts: Sequence[str],
    fingerprint: str,
    claim: Claim,
    resumes: bool = False,
    edits: Collection[str] = (),
) -> Workspace:
    """Return a workspace in which these artifacts are in staging folders.

    Args:
        fingerprint: of config and inputs.
        resumes: whether to resume an unfinished build with this fingerprint.
        edits: artifacts whose new builds start as a copy of the finished artifact.
    """
    folders = {}
    for artifact in artifacts:
        restore(workspace, artifact)
        unfinished = unfinished_builds(workspace, artifact) if resumes else []
        same = [name for name in unfinished if name.startswith(f"{fingerprint}-")]
        name = same[-1] if same else f"{fingerprint}-{claim.token}"
        folders[artifact] = f"{BUILDS}/{artifact}/{name}"
        if artifact in edits and not same:
            copy_files(workspace, workspace.folder(artifact), folders[artifact])
    return workspace.placed(folders)


def unfinished_builds(workspace: Workspace, artifact: str) -> list[str]:
    """Names of an artifact's unfinished builds, oldest first."""
    manifest = workspace.manifest(artifact)
    current = manifest.folder.rpartition("/")[2] if manifest else ""
    found = list_files(workspace.filesystem, workspace.path_under_root(BUILDS, artifact))
    names = [info.base_name for info in found if info.type == fs.FileType.Directory]
    old = sorted((name for name in names if not name.startswith(REPLACED)), key=lambda name: name.partition("-")[2])
    return [name for name in old if name != current]


def restore(workspace: Workspace, artifact: str) -> None:
    """Recover from a run killed between its two renames: put the complete build, or the previous one, in place."""
    target = Path(workspace.path_under_root(artifact))
    if not workspace.is_local or target.exists():
        return
    builds = Path(workspace.path_under_root(BUILDS, artifact))
    if not builds.exists():
        return
    with cell_of(workspace, artifact).guarded():  # a run holds the lock during its renames
        whole = sorted(builds.glob(f"*/{MANIFEST}"), key=lambda file: file.stat().st_mtime)
        if whole and not target.exists():
            os.rename(whole[-1].parent, target)


def finish(workspace: Workspace, manifests: Sequence[Manifest], claim: Claim) -> list[Manifest]:
    """Verify the builds of a step, then put each in place with its manifest.

    Args:
        workspace: returned by `begin`.

    Returns:
        The manifests as written.

    Raises:
        ArtifactError: the files don't match the manifest's counts.
        ClaimError: another run has taken over; nothing was put in place.
    """
    claim.check([manifest.artifact for manifest in manifests])
    checked = [checked_manifest(workspace, each, claim) for each in manifests]
    return [put_in_place(workspace, manifest, claim) for manifest in checked]


def checked_manifest(workspace: Workspace, manifest: Manifest, claim: Claim) -> Manifest:
    """Verify the number of rows, and return the manifest with the stored files' totals.

    Raises:
        ArtifactError: the number of rows differs.
    """
    artifact = manifest.artifact
    if artifact not in dict(workspace.folders):
        return replace(manifest, claim=claim.token)
    stored = stored_in(workspace, artifact, remove_temporary=True)
    about = ARTIFACTS[artifact]
    if about.counted is not None and about.counted in manifest.rows:
        counted = manifest.rows[about.counted] + (sum(manifest.failures.values()) if about.counts_failures else 0)
        stored["rows"] = sum(count_rows(workspace, workspace.shards(artifact)))
        if stored["rows"] != counted:
            raise ArtifactError(
                f"{workspace.path(artifact)}: {stored['rows']:,} rows found, but {counted:,} were written; "
                f"did another program write there? Run jobs.{manifest.step} with --force true"
            )
    return replace(manifest, claim=claim.token, stored=stored)


def put_in_place(workspace: Workspace, manifest: Manifest, claim: Claim) -> Manifest:
    """Replace the artifact by a build; the previous one is removed afterwards."""
    artifact = manifest.artifact
    folder = dict(workspace.folders).get(artifact)
    cell = claim.cell(artifact)
    if not workspace.is_local:
        manifest = replace(manifest, folder=folder or "")
        _point_to(workspace, manifest, claim)
        workspace.manifest(artifact)  # refreshes this process's cached folder
        if folder:
            _remove_others(workspace, artifact, folder)
        return manifest
    with cell.guarded():
        claim.check([artifact])
        if folder is None:
            workspace.finish(manifest)
            return manifest
        build, target = Path(workspace.path_under_root(folder)), Path(workspace.path_under_root(artifact))
        build.mkdir(parents=True, exist_ok=True)
        (build / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        away = build.parent / f"{REPLACED}{claim.token}"
        if target.exists():
            os.rename(target, away)
        os.rename(build, target)
    shutil.rmtree(build.parent, ignore_errors=True)
    return manifest


def _point_to(workspace: Workspace, manifest: Manifest, claim: Claim) -> None:
    """Replace the manifest on S3. Its ETag is read before the claim is checked, to detect a takeover in between."""
    cell = S3Cell(workspace.root, f"{manifest.artifact}/{MANIFEST}")
    _, tag = cell.read_with_tag()
    claim.check([manifest.artifact])
    if not cell.put(manifest.to_json().encode(), tag):
        raise ClaimError(
            f"{workspace.path(manifest.artifact)}: another run finished it first, and its result stays. Run "
            f"jobs.{manifest.step} again"
        )


def _remove_others(workspace: Workspace, artifact: str, folder: str) -> None:
    """Remove all other builds, and files in the old layout without builds."""
    files, keep = workspace.filesystem, workspace.path_under_root(folder)
    with store_errors_of(files, workspace.path_under_root(artifact)):
        for parent in (workspace.path_under_root(BUILDS, artifact), workspace.path_under_root(artifact)):
            for info in files.get_file_info(fs.FileSelector(parent, allow_not_found=True)):
                if info.type == fs.FileType.Directory and info.path != keep:
                    files.delete_dir(info.path)
                elif info.type == fs.FileType.File and info.base_name != MANIFEST:
                    files.delete_file(info.path)


def stored_in(workspace: Workspace, artifact: str, remove_temporary: bool = False) -> dict[str, int]:
    """Number and bytes of an artifact's files; for Parquet artifacts, of the Parquet files only."""
    listed = list_files(workspace.filesystem, workspace.path(artifact), recursive=True)
    found = [info for info in listed if info.type == fs.FileType.File]
    with store_errors_of(workspace.filesystem, workspace.path(artifact)):
        for info in found if remove_temporary and workspace.is_local else ():
            if info.path.endswith(TEMPORARY):
                workspace.filesystem.delete_file(info.path)
    ending = ".parquet" if ARTIFACTS[artifact].is_parquet else ""
    sizes = [
        info.size
        for info in found
        if info.path.endswith(ending) and info.base_name != MANIFEST and not info.path.endswith(TEMPORARY)
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}


def damage(workspace: Workspace, manifest: Manifest) -> str:
    """Difference between a finished artifact's files and its manifest, by one listing; "" if there is none."""
    stored = manifest.stored
    if not stored:
        return ""
    found = stored_in(workspace, manifest.artifact)
    exact = ARTIFACTS[manifest.artifact].is_parquet
    is_whole = all(found[name] == stored[name] if exact else found[name] >= stored[name] for name in found)
    if is_whole:
        return ""
    return (
        f"{workspace.path(manifest.artifact)}: {found['files']:,} files of {found['bytes']:,} bytes, but "
        f"{stored['files']:,} of {stored['bytes']:,} in its manifest"
    )


def copy_files(workspace: Workspace, source: str, target: str) -> None:
    """Copy the files of one folder under the root to another: hard links on a file system, server-side copies on S3.

    Files are never changed in place, so links are safe.
    """
    files, start = workspace.filesystem, workspace.path_under_root(source)
    found = [info.path for info in list_files(files, start, recursive=True) if info.type == fs.FileType.File]

    def copy(path: str) -> None:
        to = workspace.path_under_root(target) + path.removeprefix(start)
        if not workspace.is_local:
            with store_errors_of(files, path):
                files.copy_file(path, to)
            return
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            try:
                os.link(path, to)
            except OSError:
                shutil.copyfile(path, to)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(copy, [path for path in found if not path.endswith(f"/{MANIFEST}")]))
