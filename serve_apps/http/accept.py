"""Content negotiation by `Accept` (RFC 9110, section 12.5.1), as Werkzeug reads the header."""

from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from serve_apps.http.asgi import RefusedError

VARY = {"vary": "Accept"}


def choose(accept: Sequence[str], offered: Sequence[str]) -> str:
    """The offered media type that the client prefers.

    Args:
        accept: values of all `Accept` headers; none, or only blank ones, accept everything. Parameters other than q
            don't restrict a range: no type is offered in several variants.
        offered: type/subtype, lower case, best first: decides where the client has no preference. A type that the
            client names outranks one that only a wildcard covers with the same q.

    Raises:
        RefusedError: 406, every offered type is excluded.
    """
    value = ",".join(accept)
    if not value.strip(" ,"):
        return offered[0]
    ranges = [(kind.partition(";")[0].strip().lower(), q) for kind, q in parse_accept_header(value, MIMEAccept)]
    accepted, named = MIMEAccept(ranges), {kind for kind, _ in ranges}
    best = max(offered, key=lambda kind: (accepted.quality(kind), kind in named))  # ties: the first
    if not accepted.quality(best):
        detail = f"Accept allows neither {' nor '.join(offered)}, the types that this route answers with"
        raise RefusedError(406, detail, VARY)
    return best
