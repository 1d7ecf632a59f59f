"""Location of a workspace's catalog in LanceDB's terms, which has its own S3 client and option names."""

from collections.abc import Mapping
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from pyarrow import fs

from showcases.storage import s3
from showcases.storage.artifacts import Workspace


def located(workspace: Workspace) -> tuple[str, dict[str, str]]:
    """URI and storage options of the workspace's catalog for `Catalog.open` and `Catalog.write`.

    pyarrow's options in an S3 root (endpoint_override, scheme, region, and credentials before the bucket) are
    translated; without them LanceDB uses the usual AWS chain, as pyarrow does.
    """
    path = workspace.path("catalog")
    if workspace.is_local:
        return path, {}
    root = urlsplit(workspace.root)
    given = {name: values[-1] for name, values in parse_qs(root.query).items()}
    options: dict[str, str] = {}
    if "region" in given:
        options["region"] = given["region"]
    if "endpoint_override" in given:
        endpoint = given["endpoint_override"]
        if "://" not in endpoint:
            endpoint = f"{given.get('scheme', 'https')}://{endpoint}"
        options |= {"endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
    if root.username and root.password:
        options |= {"access_key_id": unquote(root.username), "secret_access_key": unquote(root.password)}
    return f"{root.scheme}://{path}", options


def root_at(uri: str, options: Mapping[str, str]) -> str:
    """The same location as a root for `s3.open_root`; the inverse of `located`."""
    if "://" not in uri:
        return uri.rstrip("/")
    place = urlsplit(uri)
    key, secret = options.get("access_key_id"), options.get("secret_access_key")
    credentials = f"{quote(key, safe='')}:{quote(secret, safe='')}@" if key and secret else ""
    given = {"endpoint_override": options.get("endpoint"), "region": options.get("region")}
    query = urlencode({name: value for name, value in given.items() if value})
    root = f"{place.scheme}://{credentials}{place.netloc}{place.path}" + (f"?{query}" if query else "")
    return s3.with_endpoint(root) if place.scheme == "s3" else root


def files_at(uri: str, options: Mapping[str, str]) -> tuple[fs.FileSystem, str]:
    """pyarrow filesystem and path of the location, for the few files that are not tables."""
    root = root_at(uri, options)
    return s3.open_root(root) if "://" in root else (fs.LocalFileSystem(), root)
