"""Makes schemas.json.gz from KubeRay's CRDs (Apache-2.0): `python -m tests.kuberay.make_schemas CHECKOUT TAG`.

CHECKOUT is a clone of github.com/ray-project/kuberay, TAG a release of it. Descriptions and `status` are left out, and
what Kubernetes refuses under `kubectl --validate=strict`, unknown fields, JSON Schema is told to refuse too.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("schemas.json.gz")
FOLDER = "ray-operator/config/crd/bases"
KINDS = {"RayJob": "ray.io_rayjobs.yaml", "RayService": "ray.io_rayservices.yaml"}
OBJECT = {"name": {"type": "string", "maxLength": 47}, "labels": {"type": "object"}, "annotations": {"type": "object"}}


def schema_of(definition: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of the version v1 of a CRD."""
    [version] = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    properties = {name: schema["properties"][name] for name in ("spec",)}
    names = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": definition["spec"]["names"]["kind"]}}
    metadata = {"type": "object", "properties": OBJECT, "required": ["name"], "additionalProperties": False}
    return {
        "type": "object",
        "properties": names | {"metadata": metadata} | properties,
        "required": [*names, "metadata", "spec"],
        "additionalProperties": False,
    }


def closed(node: Any) -> Any:
    """Without descriptions and extensions of Kubernetes; objects take the fields that they name and no others."""
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept = {
        name: value for name, value in node.items() if not name.startswith("x-") and name not in ("default", "format")
    }
    if isinstance(kept.get("description"), str):
        del kept["description"]
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: closed(value) for name, value in kept["properties"].items()}
        open_ended = node.get("x-kubernetes-preserve-unknown-fields", False)
        kept.setdefault("additionalProperties", open_ended)
    return {name: value if name == "properties" else closed(value) for name, value in kept.items()}


def main(checkout: str, tag: str) -> None:
    schemas: dict[str, Any] = {"source": f"github.com/ray-project/kuberay {tag}, {FOLDER}; Apache-2.0"}
    for kind, file in KINDS.items():
        shown = subprocess.run(
            ["git", "-C", checkout, "show", f"{tag}:{FOLDER}/{file}"], capture_output=True, check=True
        )
        schemas[kind] = schema_of(yaml.safe_load(shown.stdout))
    text = json.dumps(schemas, separators=(",", ":"), sort_keys=True)
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
