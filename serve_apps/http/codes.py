"""Stable error codes for programs; `detail` is for people. Listed in docs/serving.md."""

from typing import NamedTuple


class Code(NamedTuple):
    """HTTP status and meaning of a code."""

    status: int
    meaning: str


CODES: dict[str, Code] = {  # the first code of a status is its default
    "bad_request": Code(400, "The request can't be read as HTTP or as a body of its kind."),
    "key_missing": Code(401, "No Authorization header was sent, and this service requires a key."),
    "key_invalid": Code(401, "The key is malformed, unknown, revoked or expired."),
    "scope_missing": Code(403, "The key is valid but lacks the scope of this operation."),
    "not_found": Code(404, "No such user, business or photo exists for this key."),
    "path_unknown": Code(404, "No route has this path."),
    "method_not_allowed": Code(405, "The path exists, but not with this method; `Allow` lists those that work."),
    "not_acceptable": Code(406, "`Accept` excludes every type that this route can answer with."),
    "body_timeout": Code(408, "The body did not arrive completely in time."),
    "conflict": Code(409, "The request contradicts what is already stored."),
    "precondition_failed": Code(412, "The resource's ETag doesn't match `If-Match`."),
    "precondition_unsupported": Code(412, "Conditional writes are not supported; nothing was written."),
    "body_too_large": Code(413, "The body, a photo, or the number of photos exceeds its limit."),
    "target_too_long": Code(414, "Path and query are too long."),
    "media_type_unsupported": Code(
        415, "The body has the wrong Content-Type, is compressed, or a file is not a photo."
    ),
    "request_invalid": Code(422, "One or more fields, parameters or ids are not allowed; `errors` names each."),
    "json_malformed": Code(422, "The body is not JSON, repeats a name within an object, or is not UTF-8."),
    "json_too_complex": Code(422, "The JSON body nests too deep, has too many values, or too long a string."),
    "form_malformed": Code(422, "The multipart body can't be read."),
    "photo_invalid": Code(422, "A photo can't be decoded or has too many pixels."),
    "rate_exceeded": Code(429, "The key's rate is used up; retry after `Retry-After`."),
    "quota_exceeded": Code(429, "The key's requests of the day are used up; retry after `Retry-After`."),
    "headers_too_large": Code(431, "The headers are too long."),
    "internal_error": Code(500, "The service failed; its log has the cause under the request id."),
    "overloaded": Code(503, "A queue is full; retry after `Retry-After`."),
    "replica_lost": Code(503, "A process died while it worked on the request; retry after `Retry-After`."),
    "not_ready": Code(503, "The models, the catalog or the keys are not available yet."),
    "deadline_exceeded": Code(504, "No answer by the deadline; the work was cancelled."),
}


def default_code(status: int) -> str:
    """The default code of a status."""
    fallback = "internal_error" if status >= 500 else "bad_request"
    return next((name for name, code in CODES.items() if code.status == status), fallback)
