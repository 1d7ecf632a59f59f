"""Lineage of a registered model: version, run, config and data hashes, back to the corpus.

    python -m jobs.lineage --root WORKSPACE --model showcases-generator --version 3
    python -m jobs.lineage --root WORKSPACE --bundle 2 --json
    python -m jobs.lineage --root WORKSPACE --model showcases-generator        its champion

Each response of the service names the versions (`models`); the registry knows their runs, and manifests the rest.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobs.evaluating.quality_gate import champion_of
from jobs.promote import MODELS, NAME
from jobs.runner.config import PipelineConfig
from jobs.runner.exits import exit_on_error
from jobs.tracking.config import TrackingConfig, tracking_uri
from jobs.tracking.replay import client_of, is_refused
from showcases.bundle import Pinned
from showcases.errors import ModelError
from showcases.storage.artifacts import ARTIFACTS, Manifest, Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

CURRENT, CHANGED, MISSING = "current", "changed", "missing"


def of_bundle(client: "MlflowClient", workspace: Workspace, version: str) -> dict[str, Any]:
    """A bundle's lineage: that of its models, and its encoder and classifier."""
    found = _version(client, NAME, version)
    models = [of_model(client, workspace, Pinned.parse(found.tags[role])) for role in MODELS]
    parts = {name: _ancestry(workspace, name, found.tags[name], {}) for name in ("clip", "classifier")}
    return {"bundle": f"{NAME} version {version}", "models": models, "parts": parts}


def of_model(client: "MlflowClient", workspace: Workspace, pinned: Pinned) -> dict[str, Any]:
    """A model's lineage.

    Returns:
        Plain dict: `model`, `aliases`, `tags`, `run` (id, name, start, commit, params) and `data`: the artifacts that
        the run read, each with its manifest hash, whether it is still current, and its own inputs.

    Raises:
        ModelError: the version doesn't exist.
    """
    found = _version(client, pinned.name, pinned.version)
    run = client.get_run(str(found.run_id))
    seen: dict[str, Any] = {}
    read = run.inputs.dataset_inputs if run.inputs else []
    inputs = {each.dataset.name: json.loads(each.dataset.source) for each in read}
    data = {name: _ancestry(workspace, name, source["manifest_sha256"], seen) for name, source in inputs.items()}
    return {
        "model": str(pinned),
        "aliases": list(found.aliases),
        "tags": dict(found.tags),
        "run": {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "start_ms": run.info.start_time,
            "commit": run.data.tags.get("mlflow.source.git.commit"),
            "config": dict(run.data.params),
        },
        "data": data,
    }


def _version(client: "MlflowClient", name: str, version: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if not is_refused(error):
            raise
        raise ModelError(f"{name} has no version {version} in {client.tracking_uri}") from error


def _ancestry(workspace: Workspace, name: str, digest: str, seen: dict[str, Any]) -> dict[str, Any]:
    """An artifact by manifest hash, with its inputs, as far as the workspace still has them."""
    if name not in ARTIFACTS:  # a corpus file, by its own hash
        return {"sha256": digest}
    manifest = workspace.manifest(name)
    if manifest is None or manifest.digest != digest:
        return {"sha256": digest, "state": MISSING if manifest is None else CHANGED}
    if name not in seen:
        seen[name] = {}
        seen[name] = {key: _ancestry(workspace, key, value, seen) for key, value in manifest.inputs.items()}
    return {"sha256": digest, "state": CURRENT, **_facts(manifest), "from": seen[name]}


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {"step": manifest.step, "created": manifest.created, "rows": manifest.rows, "config": manifest.config}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """A lineage as text lines."""
    if "bundle" in found:
        yield found["bundle"]
        for model in found["models"]:
            yield from lines(model)
        yield "parts of the bundle"
        yield from _data_lines(found["parts"], "  ", set())
        return
    run = found["run"]
    yield found["model"] + (f" ({', '.join(found['aliases'])})" if found["aliases"] else "")
    yield f"  run {run['id']} ({run['name']}), commit {run['commit'] or 'unknown'}"
    yield "  config"
    for name, value in sorted(run["config"].items()):
        yield f"    {name} = {value}"
    yield "  data"
    yield from _data_lines(found["data"], "    ", set())


def _data_lines(data: dict[str, Any], indent: str, seen: set[str]) -> Iterator[str]:
    """Each artifact with its inputs; repeated ones by name only."""
    for name, each in data.items():
        if name in seen:
            yield f"{indent}{name}: as above"
            continue
        seen.add(name)
        rows = ", ".join(f"{count:,} {kind}" for kind, count in each.get("rows", {}).items())
        parts = [each["sha256"][:12], each.get("state"), each.get("created"), rows]
        yield f"{indent}{name}: " + ", ".join(part for part in parts if part)
        yield from _data_lines(each.get("from", {}), indent + "  ", seen)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the lineage of a model or a bundle."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="MLflow URI (default: the workspace's sqlite file)")
    parser.add_argument("--model", choices=tuple(MODELS.values()), help="registered model")
    parser.add_argument("--version", help="model version (default: its champion)")
    parser.add_argument("--bundle", help="version of showcases-bundle, instead of a model")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    if bool(options.bundle) == bool(options.model):
        parser.error("set either --model or --bundle")
    config = PipelineConfig(root=options.root, tracking=TrackingConfig(options.tracking_uri))
    with exit_on_error():
        client, workspace = client_of(tracking_uri(config)), Workspace(config.root)
        if options.bundle:
            found = of_bundle(client, workspace, options.bundle)
        else:
            version = options.version or champion_of(client, options.model)
            if version is None:
                raise ModelError(f"{options.model} has no champion; set --version")
            found = of_model(client, workspace, Pinned(options.model, version))
    print(json.dumps(found, indent=2) if options.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
