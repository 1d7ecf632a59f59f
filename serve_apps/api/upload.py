"""Parses uploaded photos from a multipart form: parts and their ids, before any image is decoded."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve_apps.access.config import Limits
from serve_apps.http.asgi import RefusedError
from serve_apps.http.pointers import in_body
from showcases.ids import MAX_ID_LENGTH
from showcases.jpeg import take_to_show
from showcases.photo_files.kinds import kind_of
from showcases.photos import PhotoError, PhotoTooLargeError, TakenPhoto, measured

FORMATS = ("JPEG", "PNG", "WEBP")
FIELD = "photos"  # field name of the web page's file input; the file name is the photo id
HOW = "send each as -F 'ID=@file.jpg', or -F 'photos=@file.jpg;filename=ID'"


@dataclass
class Part:
    """One part of a form while it is parsed: header and chunks of content."""

    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""
    pieces: list[bytes] = field(default_factory=list)


class _Form:
    """Callbacks for python-multipart's parser."""

    def __init__(self, at_most: int) -> None:
        self.parts: list[Part] = []
        self.at_most, self.whole = at_most, False

    def on_part_begin(self) -> None:
        if len(self.parts) == self.at_most:
            raise RefusedError(413, f"the form has more than {self.at_most} photos, the limit of one PUT")
        self.parts.append(Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def on_header_end(self) -> None:
        part = self.parts[-1]
        if part.header.lower() == b"content-disposition":
            part.disposition = bytes(part.value)
        part.header, part.value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].pieces.append(data[start:end])

    def on_end(self) -> None:
        self.whole = True


def photos_of(body: bytes, content_type: str, limits: Limits) -> dict[str, bytes]:
    """Files by photo id, each with the header of an image; empty if the body is empty.

    Raises:
        RefusedError: 422 if the form is malformed or an id is invalid or repeated; 413, 415 and 422 as for
            `require_image`, naming the photo.
    """
    if not body:
        return {}
    photos: dict[str, bytes] = {}
    for part in _parts(body, content_type, limits.upload_photos):
        name, data = _id_of(part), b"".join(part.pieces)
        if name in photos:
            raise _invalid(f"photo {name!r} occurs twice", name, "repeated")
        _require(name, data, limits)
        photos[name] = data
    return photos


def decode_photo(name: str, data: bytes, limits: Limits) -> TakenPhoto:
    """Decode one photo into the form that is stored: an upright JPEG without metadata such as location.

    Raises:
        RefusedError: 422 if it can't be decoded.
    """
    try:
        return take_to_show(data, limits.image_pixels)
    except PhotoError as error:
        raise _of_photo(RefusedError(422, str(error), code="photo_invalid"), name) from None


def require_image(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels from the file's header; nothing is decoded.

    Raises:
        RefusedError: 413 too many bytes, 422 too many pixels, 415 not an image of FORMATS.
    """
    if len(data) > limits.image_bytes:
        raise RefusedError(413, f"the image has {len(data)} bytes; the limit is {limits.image_bytes}")
    try:
        return measured(data, limits.image_pixels, FORMATS)
    except PhotoTooLargeError as error:
        raise RefusedError(422, f"the image is {error}", code="photo_invalid") from None
    except PhotoError as error:
        kind = kind_of(data)
        reason = f": {error}" if kind in FORMATS else f", but {kind}"
        raise RefusedError(415, f"not an image of type {', '.join(FORMATS)}{reason}") from None


def _parts(body: bytes, content_type: str, at_most: int) -> list[Part]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _malformed("the form has no boundary")
    form = _Form(at_most)
    callbacks = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
    try:
        MultipartParser(boundary, callbacks).write(body)  # type: ignore[arg-type]
    except (FormParserError, ValueError) as error:
        raise _malformed(f"the form can't be read: {error}") from None
    if not form.whole:  # a truncated last photo would be dropped silently
        raise _malformed("the form is truncated")
    return form.parts


def _id_of(part: Part) -> str:
    options = parse_options_header(part.disposition)[1]
    name, file = (options.get(key, b"").decode("utf-8", "replace") for key in (b"name", b"filename"))
    if b"filename" not in options:
        raise _invalid(f"the form field {name!r} is not a file; {HOW}", name, "file_expected")
    chosen = file if name == FIELD else name
    if not 1 <= len(chosen) <= MAX_ID_LENGTH or not chosen.isprintable() or "/" in chosen or set(chosen) <= {"."}:
        why = f"{chosen[:40]!r} is not a photo id: 1 to {MAX_ID_LENGTH} printable characters, no '/'"
        raise _invalid(why, chosen, "id_invalid")
    return chosen


def _require(name: str, data: bytes, limits: Limits) -> None:
    try:
        require_image(data, limits)
    except RefusedError as refused:
        raise _of_photo(refused, name) from None


def _of_photo(refused: RefusedError, name: str) -> RefusedError:
    """The same error, naming the photo."""
    errors = [in_body((name,), refused.code, refused.detail)]
    return RefusedError(
        refused.status, f"photo {name!r}: {refused.detail}", refused.headers, code=refused.code, errors=errors
    )


def _invalid(why: str, name: str, code: str) -> RefusedError:
    return RefusedError(422, why, errors=[in_body((name,), code, why)])


def _malformed(why: str) -> RefusedError:
    return RefusedError(422, f"{why}; {HOW}", code="form_malformed", errors=[in_body((), "form_malformed", why)])
