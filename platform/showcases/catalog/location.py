"""Where the catalog of a workspace is, in LanceDB's words: it has its own S3 client and its own option names."""

from urllib.parse import parse_qs, unquote, urlsplit

from showcases.artifacts import Workspace


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
