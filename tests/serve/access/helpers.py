"""A small application behind the protection, keys for it, and requests to it without a socket."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request

from serve_apps import keys as command
from serve_apps.access.config import AccessConfig
from serve_apps.api.layers import protection, wrap
from serve_apps.http import problem


def make_api(config: AccessConfig) -> FastAPI:
    """Routes of every scope; they tell what the protection left on the request."""
    api = FastAPI()
    problem.install(api)

    @api.get("/healthz")
    @api.get("/v1/photos/{name}")
    @api.post("/v1/showcases")
    @api.post("/v1/feedback")
    @api.delete("/v1/users/{name}")
    async def told(request: Request) -> dict[str, Any]:
        held = request.state
        return {"tenant": held.tenant, "key_id": held.key_id, "id": held.request_id, "body": len(await request.body())}

    @api.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError(f"no luck with {SECRETLIKE}")

    @api.get("/v1/sleeps")
    async def sleeps(request: Request) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            request.app.state.cancelled = True
            raise

    wrap(api, protection(config))
    return api


SECRETLIKE = "sc_0123456789ab_" + "S3cr3t" * 6 + "xx"


def ask(api: FastAPI, *requests: httpx.Request | tuple[str, str]) -> list[httpx.Response]:
    """Answers to the requests, one after the other."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=api, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return [
                await client.send(one if isinstance(one, httpx.Request) else client.build_request(*one))
                for one in requests
            ]

    return asyncio.run(run())


def request(token: str | None, method: str, path: str, **options: Any) -> httpx.Request:
    headers = options.pop("headers", {}) | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx.Request(method, f"http://service{path}", headers=headers, **options)


def create(root: Path, capsys: Any, *options: str) -> str:
    """A new key, made by the command."""
    tenant = () if "--tenant" in options else ("--tenant", "acme")
    command.main(["create", "--root", str(root), *tenant, *options])
    return capsys.readouterr().out.strip()


def id_of(token: str) -> str:
    return token.split("_")[1]
