"""Ids that callers bring (their users) are kept under their tenant: the same id of two tenants is two users."""


def qualified(tenant: str, name: str) -> str:
    """What to store, look up and cache under. A tenant has no colon, so no two pairs give the same."""
    if not tenant or ":" in tenant:
        raise ValueError(f"{tenant!r}: not a tenant")
    return f"{tenant}:{name}"


def own_name(tenant: str, stored: str) -> str | None:
    """The id as its tenant knows it; None for what is another's, which to this one does not exist (404, not 403)."""
    owner, separator, name = stored.partition(":")
    return name if separator and owner == tenant else None
