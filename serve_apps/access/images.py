"""A look at an image that somebody sent, before it is decoded: its bytes, its kind and its pixels."""

import io
import warnings

from serve_apps.access.asgi import RefusedError
from serve_apps.access.config import Limits

FORMATS = ("JPEG", "PNG", "WEBP")


def require_image(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels, as the head of the file tells; nothing is decoded.

    Raises:
        RefusedError: 413 too many bytes, 422 too many pixels, 415 not an image of FORMATS.
    """
    from PIL import Image

    if len(data) > limits.image_bytes:
        raise RefusedError(413, f"the image has {len(data)} bytes; at most {limits.image_bytes} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is the one that counts
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        raise _too_many(f"the image has more than {limits.image_pixels} pixels") from None
    except Exception:  # whatever the file does to the parser
        raise RefusedError(415, f"that is no image of {', '.join(FORMATS)}") from None
    if width * height > limits.image_pixels:
        raise _too_many(f"the image is {width} x {height}; at most {limits.image_pixels} pixels are read")
    return width, height


def _too_many(why: str) -> RefusedError:
    return RefusedError(422, why, code="photo_invalid")
