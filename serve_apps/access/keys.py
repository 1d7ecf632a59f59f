"""A key as it is kept: hashes of its secrets, whose it is, what it may do, and how much of it."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, StringConstraints

from serve_apps.access import tokens
from serve_apps.terms import Scope

Tenant = Annotated[str, StringConstraints(pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\z")]
Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
NO_DIGEST = "0" * 64  # compared with where there is no key, so that an unknown id takes as long as a wrong secret


class Secret(BaseModel):
    """One of a key's secrets; the older one has an end once the key was rotated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: Digest
    created: AwareDatetime
    expires: AwareDatetime | None = None


class Key(BaseModel):
    """Scopes are what they say: none includes another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=rf"\A{tokens.ID.pattern}\z")]
    tenant: Tenant
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    rate: PositiveFloat  # requests/s
    burst: PositiveInt  # requests at once
    quota: PositiveInt | None  # requests a UTC day; none: no end
    created: AwareDatetime
    expires: AwareDatetime | None
    revoked: AwareDatetime | None = None
    note: Annotated[str, StringConstraints(max_length=200)] = ""
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]

    def refusal(self, now: datetime) -> str | None:
        """Why it doesn't work now, whatever the secret; None where it does."""
        if self.revoked is not None and self.revoked <= now:
            return "this key was revoked"
        if self.expires is not None and self.expires <= now:
            return "this key has expired"
        return None

    def overlaps(self, now: datetime) -> bool:
        """Whether an older secret still works."""
        return any(secret.expires is not None and now < secret.expires for secret in self.secrets)

    def rotated(self, token: str, overlap: timedelta, now: datetime) -> Self:
        """With a new secret; of the others the newest works on for `overlap`, at most as long as it had."""
        last = self.secrets[-1]  # the order tells, two may be of one second
        end = min(filter(None, (now + overlap, last.expires)))
        kept = (last.model_copy(update={"expires": end}),) if overlap else ()
        return self.model_copy(update={"secrets": (*kept, Secret(digest=tokens.digest(token), created=now))})


def matches(key: Key | None, token: str, now: datetime) -> bool:
    """Whether the token is one of the key's; takes the same time wherever it differs, and where there is no key."""
    given = tokens.digest(token)
    live = [one.digest for one in key.secrets if one.expires is None or now < one.expires] if key else []
    candidates = [*live, NO_DIGEST, NO_DIGEST][:2]
    same = [hmac.compare_digest(given, candidate) for candidate in candidates]  # all of them, never only up to a hit
    return any(same)


def utc_now() -> datetime:
    """Now, as it is written into files: whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
