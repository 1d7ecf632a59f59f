"""Sources of photos: URLs, a folder, tars. Each returns a photo's bytes or the reason why there are none."""

from pyarrow import fs

from showcases.errors import ConfigError
from showcases.gest.config import FetchConfig
from showcases.gest.photos.sources.base import Raw, Source, Take
from showcases.gest.photos.sources.files import Files
from showcases.gest.photos.sources.urls import Urls
from showcases.storage.artifacts import Workspace

URLS = "urls"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
FORMS = (
    "a folder of <photo id>.jpg (.png, .webp, …), a .tar of them, a folder of WebDataset or img2dataset .tar files, "
    "or `urls`"
)

__all__ = ["URLS", "Files", "Raw", "Source", "Take", "Urls", "open_source"]


def open_source(photos: str | None, config: FetchConfig) -> Source:
    """Open the source given by `--photos`.

    Args:
        photos: `urls` for the URLs of the table `photos`; else a local path or an s3:// URI.

    Raises:
        ConfigError: no source given, or it doesn't exist or is unreadable.
    """
    if photos is None:
        raise ConfigError(f"no photos: give --photos {FORMS}")
    if photos == URLS:
        return Urls(config.http, config.max_bytes)
    workspace = Workspace(photos)
    filesystem, path = open_folder(photos)
    if path.lower().endswith(COMPRESSED):
        raise ConfigError(f"{photos}: compressed, so no photo in it can be read by itself; unpack it to a plain .tar")
    found = filesystem.get_file_info(path).type
    if found == fs.FileType.Directory or (found == fs.FileType.File and path.lower().endswith(".tar")):
        return Files(workspace.root, config.max_bytes)
    raise ConfigError(f"{photos}: no such folder or .tar; --photos is {FORMS}")


def open_folder(uri: str) -> tuple[fs.FileSystem, str]:
    """Filesystem and path of a local path or an s3:// URI."""
    workspace = Workspace(uri)
    return workspace.filesystem, workspace.path("x").removesuffix("/x")
