"""Which scope a route needs, and what kind of body it takes. What isn't in the table needs `admin`."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from serve_apps.terms import Scope

Body = Literal["json", "photos"]
TYPES: dict[Body, str] = {"json": "application/json", "photos": "multipart/form-data"}


@dataclass(frozen=True)
class Rule:
    """Requests by method and whole path; scope None is public."""

    methods: tuple[str, ...]
    path: str  # a regular expression
    scope: Scope | None
    body: Body | None = "json"  # None: nobody reads it

    def covers(self, method: str, path: str) -> bool:
        return method in self.methods and re.fullmatch(self.path, path) is not None


READ = ("GET", "HEAD")
RULES = (
    Rule(("OPTIONS",), r"/.*", None, body=None),  # the answer names methods, which /openapi.json does too
    Rule(READ, r"/|/docs|/openapi\.json|/healthz|/readyz|/favicon\.ico|/web/[\w.-]+", None),
    Rule(READ, r"/v1/.*", "read"),
    Rule(("POST",), r"/v1/(showcases|selections|explanations)(/.*)?", "read"),  # they ask
    Rule(("POST",), r"/v1/feedback(/.*)?", "write"),
    Rule(("PUT",), r"/v1/businesses/[^/]+/photos", "write", body="photos"),
    Rule(("PUT",), r"/v1/.*", "write"),
)
OTHERS = Rule((), "", "admin", body=None)


def rule_for(scope: dict[str, Any]) -> Rule:
    """The first rule that covers a request, else OTHERS."""
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")).rstrip("/"))
    return next((rule for rule in RULES if rule.covers(scope["method"], path)), OTHERS)


def changes_nothing(scope: dict[str, Any]) -> bool:
    """Whether a request only asks, so that asking twice does no harm."""
    return rule_for(scope).scope in (None, "read")
