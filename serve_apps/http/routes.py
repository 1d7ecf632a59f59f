"""The scope and body type of each route; routes not listed need `admin`."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from serve_apps.terms import Scope

Body = Literal["json", "photos"]
TYPES: dict[Body, str] = {"json": "application/json", "photos": "multipart/form-data"}


@dataclass(frozen=True)
class Rule:
    """Matches requests by method and full path; scope None is public."""

    methods: tuple[str, ...]
    path: str  # a regular expression
    scope: Scope | None
    body: Body | None = "json"  # None: not read

    def covers(self, method: str, path: str) -> bool:
        return method in self.methods and re.fullmatch(self.path, path) is not None


READ = ("GET", "HEAD")
RULES = (
    Rule(("OPTIONS",), r"/.*", None, body=None),  # lists methods, as /openapi.json does
    Rule(READ, r"/|/docs|/openapi\.json|/healthz|/readyz|/favicon\.ico|/web/[\w.-]+", None),
    Rule(READ, r"/v1/.*", "read"),
    Rule(("POST",), r"/v1/(showcases|selections|explanations)(/.*)?", "read"),  # read-only
    Rule(("POST",), r"/v1/feedback(/.*)?", "write"),
    Rule(("PUT",), r"/v1/businesses/[^/]+/photos", "write", body="photos"),
    Rule(("PUT",), r"/v1/.*", "write"),
)
OTHERS = Rule((), "", "admin", body=None)


def rule_for(scope: dict[str, Any]) -> Rule:
    """The first rule that covers a request, else OTHERS."""
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")).rstrip("/"))
    return next((rule for rule in RULES if rule.covers(scope["method"], path)), OTHERS)
