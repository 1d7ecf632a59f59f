"""A look at an image that somebody sent, before it is decoded: its bytes, its kind and its pixels."""

from serve_apps.access.config import Limits
from serve_apps.http.asgi import RefusedError

FORMATS = ("JPEG", "PNG", "WEBP")


def require_image(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, as the head of the file tells; nothing is decoded.

    Raises:
        RefusedError: 413 too many bytes, 422 too many pixels, 415 not an image of FORMATS.
    """
    from showcases.photo_files.kinds import kind_of
    from showcases.photos import PhotoError, PhotoTooLargeError, measured

    if len(data) > limits.image_bytes:
        raise RefusedError(413, f"the image has {len(data)} bytes; at most {limits.image_bytes} are read")
    try:
        return measured(data, limits.image_pixels, FORMATS)
    except PhotoTooLargeError as error:
        raise RefusedError(422, f"the image is {error}", code="photo_invalid") from None
    except PhotoError as error:
        kind = kind_of(data)
        reason = f": {error}" if kind in FORMATS else f", but {kind}"
        raise RefusedError(415, f"that is no image of {', '.join(FORMATS)}{reason}") from None
