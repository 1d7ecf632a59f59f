"""Checks that a config's weights are available: in a folder, in the hub cache, or on the hub."""

from pathlib import Path

HUB = "Use a local folder, allow access to the hub, or download it beforehand (`hf download`, with the job's HF_HOME)"


def hub_problem(repository: str, *parts: tuple[str, ...]) -> str | None:
    """What is missing, unless one file of each part is in the local cache or on the hub; one request per file.

    The loaders would retry an unreachable hub for half a minute per file.
    """
    from transformers.utils.hub import has_file

    for files in parts:
        try:
            if any(has_file(repository, file, local_files_only=True) for file in files):
                continue
            if any(has_file(repository, file) for file in files):
                continue
        except OSError as error:
            return f"{repository}: {first_line(error)}"
        return (
            f"{repository} is not a local folder, its {files[0]} is not in this machine's cache, and the hub doesn't "
            f"provide it. {HUB}"
        )
    return None


def url_problem(url: str) -> str | None:
    import urllib.request

    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10):
            return None
    except OSError as error:
        return f"{url} does not answer ({first_line(error)}). Use a local file, or allow access to it"


def missing_files(source: str, *parts: tuple[str, ...]) -> str | None:
    """What is missing, unless a folder or hub name has one file of each part (transformers defaults some silently)."""
    if not Path(source).is_dir():
        return hub_problem(source, *parts)
    for files in parts:
        if not any((Path(source) / file).is_file() for file in files):
            return f"{source}: the folder has no {' nor '.join(files[:2])}"
    return None


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
