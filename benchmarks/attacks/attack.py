"""What the modules of attacks share: the service that is attacked, and a row of the table."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

JSON = {"content-type": "application/json"}
LEAKS = ("Traceback", 'File "', "site-packages", "lance", "DataFusion")


@dataclass(frozen=True)
class Row:
    """One attack.

    Attributes:
        held: whether it got no more than it should.
        proxy: it is Serve's proxy that lets it through, before the service sees it.
    """

    attack: str
    request: str
    got: str
    held: bool
    proxy: bool = False

    @property
    def verdict(self) -> str:
        return "proxy" if self.proxy and not self.held else "held" if self.held else "BAD"

    def line(self) -> str:
        cells = (self.attack, self.request, self.got, self.verdict)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


@dataclass(frozen=True)
class Target:
    """A running service.

    Attributes:
        token: a key of all scopes.
        pid: of the process that started it.
        log: what it prints.
        root: where its keys are.
    """

    url: str
    token: str
    pid: int
    log: Path
    root: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer; `bare` leaves the key out."""
        headers = {**({} if options.pop("bare", False) else self.headers), **options.pop("headers", {})}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=60, **options)

    @cached_property
    def visit(self) -> dict[str, str]:
        """An honest body of /v1/showcases."""
        [place], [user] = (self.ask("GET", f"/v1/{kind}?limit=1").json()["items"] for kind in ("businesses", "users"))
        return {"user_id": user["user_id"], "business_id": place["business_id"]}

    def head(self, line: str, *headers: str) -> bytes:
        """A request's head, with the key; without the empty line that ends it."""
        return "\r\n".join([f"{line} HTTP/1.1", "Host: s", f"Authorization: Bearer {self.token}", *headers]).encode()


def refused(attack: str, request: str, answer: httpx.Response, *statuses: int) -> Row:
    """Held where the status is one of these, as a problem that leaks nothing."""
    kind = answer.headers.get("content-type", "")
    clean = not any(leak in answer.text for leak in LEAKS)
    held = answer.status_code in statuses and kind == "application/problem+json" and clean
    detail = answer.json()["detail"] if kind == "application/problem+json" else f"{kind}: {answer.text[:80]!r}"
    return Row(attack, request, f"{answer.status_code}: {detail[:110]}", held)
