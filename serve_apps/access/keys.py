"""The stored form of a key: hashes of its secrets, tenant, scopes, rate and quota."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, StringConstraints

from serve_apps.access import tokens
from serve_apps.terms import Scope

Tenant = Annotated[str, StringConstraints(pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\z")]
Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
NO_DIGEST = "0" * 64  # compared if there is no key: equal timing for an unknown id and a wrong secret


class Secret(BaseModel):
    """One of a key's secrets; after a rotation the older one expires."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: Digest
    created: AwareDatetime
    expires: AwareDatetime | None = None


class Key(BaseModel):
    """A key's record. No scope includes another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=rf"\A{tokens.ID.pattern}\z")]
    tenant: Tenant
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    rate: PositiveFloat  # requests/s
    burst: PositiveInt  # requests
    quota: PositiveInt | None  # requests per UTC day; none: unlimited
    created: AwareDatetime
    expires: AwareDatetime | None
    revoked: AwareDatetime | None = None
    note: Annotated[str, StringConstraints(max_length=200)] = ""
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]

    def refusal(self, now: datetime) -> str | None:
        """Why the key is invalid now; None if it is valid."""
        if self.revoked is not None and self.revoked <= now:
            return "this key was revoked"
        if self.expires is not None and self.expires <= now:
            return "this key has expired"
        return None

    def overlaps(self, now: datetime) -> bool:
        """Whether an older secret is still valid."""
        return any(secret.expires is not None and now < secret.expires for secret in self.secrets)

    def rotated(self, token: str, overlap: timedelta, now: datetime) -> Self:
        """A copy with a new secret; the newest old one stays valid for `overlap`, or until its own expiry."""
        last = self.secrets[-1]  # by order: timestamps have a resolution of 1 s
        end = min(filter(None, (now + overlap, last.expires)))
        previous = (last.model_copy(update={"expires": end}),) if overlap else ()
        return self.model_copy(update={"secrets": (*previous, Secret(digest=tokens.digest(token), created=now))})


def matches(key: Key | None, token: str, now: datetime) -> bool:
    """Whether the token is one of the key's; constant time, also if there is no key."""
    given = tokens.digest(token)
    live = [one.digest for one in key.secrets if one.expires is None or now < one.expires] if key else []
    candidates = [*live, NO_DIGEST, NO_DIGEST][:2]
    same = [hmac.compare_digest(given, candidate) for candidate in candidates]  # no short circuit
    return any(same)


def utc_now() -> datetime:
    """Now in whole seconds, as stored in files."""
    return datetime.now(UTC).replace(microsecond=0)
