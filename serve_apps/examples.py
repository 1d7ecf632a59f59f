"""Examples for the OpenAPI document, made from its schemas: a new route has them as soon as it has a schema."""

from typing import Any

from serve_apps.asked import BUSINESS, GUEST, PHOTO

REQUEST_ID = "bdaf9c94c25545cc93410ccd2045df7e"
MODEL = {"name": "showcases-selector", "version": "3", "alias": "champion"}
WRITER = {"name": "showcases-generator", "version": "5", "alias": "champion"}
FIELDS: dict[str, Any] = {  # by the field's name, wherever it stands
    "photo_id": PHOTO,
    "photo_ids": [PHOTO],
    "user_id": GUEST,
    "business_id": BUSINESS,
    "review_id": "4b1f0d",
    "feedback_id": "0c5d5f2c8f5a4d5cb0a5e2f1d3b49a77",
    "request_id": REQUEST_ID,
    "url": f"/v1/photos/{PHOTO}",
    "relevance": 1.37,
    "theta": 3.0,
    "score": 0.94,
    "supported": True,
    "text": "The tonkotsu ramen was rich and the egg just right.",
    "snippet": "The tonkotsu ramen was rich.",
    "models": {"selector": MODEL, "generator": WRITER},
    "embedding_space": "clip-9f2c4e",
    "catalog": {"photos": 5753, "reviews": 2204},
    "selection": 6.1,
    "explanation": 24.8,
    "rating": 4,
    "limit": 50,
    "query": "ramen",
    "cursor": "",
    "next_cursor": "WyI5ZjJjNGUiLDEyLDMsInUxIl0",
    "total": 499,
    "status": "ready",
    "piece": " ramen",
    "stage": "generator",
    "retry_after": 2,
    "keywords": 0,
    "past_reviews": 7,
    "past_photos": 12,
    "photos": 24,
    "reviews": 31,
    "missing": [],
    "unsupported": 0,
    "alternatives": [],
    "degraded": None,
    "candidate": None,
    "rolled_back": {},
}
SIMPLE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None, "object": {}}


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "") -> Any:
    """A value of the schema: its own example, what the field's name stands for, or the simplest one.

    Args:
        schemas: components/schemas, for references.
        name: of the field that holds it.
    """
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    for key in ("examples", "enum", "prefixItems"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if name in FIELDS and _fits(FIELDS[name], schema):
        return FIELDS[name]
    return _composed(schema, schemas, name)


def _composed(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    if "default" in schema:
        return schema["default"]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, name)
    if "properties" in schema:
        return {key: example_of(value, schemas, key) for key, value in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), schemas, name.removesuffix("s"))]
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return {"status": example_of(schema["additionalProperties"], schemas, "status")}
    return SIMPLE.get(schema.get("type", "string"))


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether the value is of one of the schema's plain types; the same name may mean a count here, a list there."""
    kinds = {option.get("type") for option in schema.get("anyOf", [schema])}
    by_type = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    kind = by_type.get(type(value), "null")
    if isinstance(value, list) and kind in kinds:
        items: dict[str, Any] = next(
            (option.get("items", {}) for option in schema.get("anyOf", [schema]) if "items" in option), {}
        )
        return all(_fits(one, items) for one in value)
    return kind in kinds or (kind == "integer" and "number" in kinds)
