"""Whether weights that a config names can be had here: in a folder, in the hub's cache, or from the hub now."""

from pathlib import Path

HUB = (
    "Give a local folder, let the machine reach the hub, or download it there before (`hf download`, with the HF_HOME "
    "of the job)"
)


def hub_problem(repository: str, *parts: tuple[str, ...]) -> str | None:
    """Whether one file of each part is in the hub's cache here, or can be had from the hub now, by one quick question.

    Loaders themselves would ask a hub that is out of reach again and again, for half a minute a file.
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
            f"{repository} is no folder here, its {files[0]} is not in this machine's cache, and the hub does not give "
            f"it. {HUB}"
        )
    return None


def url_problem(url: str) -> str | None:
    import urllib.request

    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=10):
            return None
    except OSError as error:
        return f"{url} does not answer ({first_line(error)}). Give a local file, or let the machine reach it"


def missing_files(source: str, *parts: tuple[str, ...]) -> str | None:
    """Whether a folder or a name on the hub has one file of each part; transformers fills in defaults for some."""
    if not Path(source).is_dir():
        return hub_problem(source, *parts)
    for files in parts:
        if not any((Path(source) / file).is_file() for file in files):
            return f"{source}: this folder has no {' nor '.join(files[:2])}"
    return None


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
