"""Strict JSON (RFC 8259): unlike Python's parser, rejects NaN, UTF-16 and duplicate names."""

import json
from collections import Counter
from typing import Any, NoReturn

from serve_apps.http.asgi import RefusedError
from serve_apps.http.pointers import in_body


def require_json(body: bytes) -> None:
    """Refuse a body that isn't JSON; an empty one is left to the route.

    Raises:
        RefusedError: 422, with the position of the error.
    """
    if not body.strip():
        return
    try:
        json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique_names, parse_constant=_not_a_number)
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not UTF-8, at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"the body is not JSON, at character {error.pos}: {error.msg}") from None
    except ValueError:  # from int(), which limits the digits it converts
        raise _malformed("the body has a number of more than 4300 digits") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _malformed(f"an object in the body has the name {json.dumps(twice[:100])} more than once")
    return found


def _not_a_number(constant: str) -> NoReturn:
    raise _malformed(f"the body has {constant}, which is not JSON; leave the field out or send null")


def _malformed(why: str) -> RefusedError:
    return RefusedError(422, why, code="json_malformed", errors=[in_body((), "json_malformed", why)])
