"""Authentication middleware: 401 without a valid key, 403 without the scope, 429 over the rate or quota."""

from typing import Any

from serve_apps.access import tokens
from serve_apps.access.keyring import KeyRing
from serve_apps.access.keys import Key, matches, utc_now
from serve_apps.access.limits import KeyLimiter
from serve_apps.http.asgi import App, Headers, Message, Receive, RefusedError, Scope, Send, header, state
from serve_apps.http.routes import Rule, rule_for

REALM = 'Bearer realm="showcases"'
LOCAL = "local"  # everyone's tenant if keys are disabled


class Authenticate:
    """ASGI. Sets `request.state.tenant` and `.key_id` (None if keys are disabled or the route is public)."""

    def __init__(self, app: App, ring: KeyRing | None, limiter: KeyLimiter | None) -> None:
        self.app, self.ring, self.limiter = app, ring, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        rule, held = rule_for(dict(scope)), state(scope)
        held["tenant"], held["key_id"] = LOCAL if self.ring is None else None, None
        if self.ring is None or self.limiter is None or rule.scope is None:
            await self.app(scope, receive, send)
            return
        key = await self._key(self.ring, header(scope, "authorization"))
        held["tenant"], held["key_id"] = key.tenant, key.id
        _require(key, rule, scope)
        window = await self.limiter.take(key)
        await self.app(scope, receive, _with_headers(send, window.headers()))

    async def _key(self, ring: KeyRing, given: str | None) -> Key:
        if given is None:
            raise RefusedError(
                401, "an API key is required: send `Authorization: Bearer sc_...`", {"www-authenticate": REALM}
            )
        kind, _, token = given.partition(" ")
        key_id = tokens.key_id_of(token.strip()) if kind.lower() == "bearer" else None
        if key_id is None:
            raise _invalid("the key is malformed; expected `Authorization: Bearer sc_ID_SECRET`")
        key, now = await ring.find(key_id), utc_now()
        if not matches(key, token.strip(), now) or key is None:
            raise _invalid("this key isn't known")
        if refusal := key.refusal(now):  # disclosed only to the secret's owner
            raise _invalid(refusal)
        return key


def _require(key: Key, rule: Rule, scope: Scope) -> None:
    if rule.scope not in key.scopes:
        has = ", ".join(sorted(key.scopes))
        detail = f"{scope['method']} of this path needs a key with the scope {rule.scope}; this one has {has}"
        challenge = f'{REALM}, error="insufficient_scope", scope="{rule.scope}"'
        raise RefusedError(403, detail, {"www-authenticate": challenge})


def _invalid(why: str) -> RefusedError:
    challenge = f'{REALM}, error="invalid_token", error_description="{why}"'
    return RefusedError(401, why, {"www-authenticate": challenge}, code="key_invalid")


def _with_headers(send: Send, headers: Headers) -> Send:
    extra: list[tuple[bytes, Any]] = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def with_extra(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return with_extra
