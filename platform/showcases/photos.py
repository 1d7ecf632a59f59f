"""JPEG bytes to pixels: the only place where photos are decoded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from showcases.errors import ShowcasesError

ORIENTATION = 0x0112  # EXIF tag
MAX_PIXELS = 30_000_000  # a larger photo is refused before it is decoded
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
)  # the rest of Pillow's readers stay shut to what comes from outside

MAX_RATIO = 8  # of the longer to the shorter side, when pixels are taken from the middle


class PhotoError(ShowcasesError):
    """Bytes that are not a photo we can use."""


class PhotoTooLargeError(PhotoError):
    """A photo with more pixels, or bytes, than are taken in."""


@dataclass(frozen=True)
class TakenPhoto:
    """A photo as it is stored: RGB JPEG, sides in px."""

    data: bytes
    width: int
    height: int


def take_in(data: bytes, max_side: int, max_pixels: int = MAX_PIXELS, quality: int = 90) -> TakenPhoto:
    """Check a photo by decoding it whole, and shrink it where it is larger than needed.

    Args:
        data: the file's bytes, in any of FORMATS, whatever its name or sender says it is.
        max_side: px; the shorter side is shrunk to this; 0 keeps the size.
        max_pixels: a photo with more is not decoded.
        quality: of the JPEG, where it is written anew; 1 to 95.

    Raises:
        PhotoTooLargeError: of more pixels.
        PhotoError: not an image, truncated, or not to be written as JPEG.
    """
    with _opened(data, max_pixels) as image:
        try:
            return _taken(image, data, max_side, quality)
        except Exception as error:  # on broken bytes Pillow's readers raise whatever they stumble over
            raise PhotoError(f"does not decode: {error}") from error


def _taken(image: Image.Image, data: bytes, max_side: int, quality: int) -> TakenPhoto:
    width, height = image.size
    shorter = min(width, height)
    upright = image.getexif().get(ORIENTATION, 1) == 1
    scale = max_side / shorter if max_side and shorter > max_side else 1.0
    keep = image.format == "JPEG" and image.mode == "RGB" and upright and scale == 1
    image.draft("RGB", (round(width * scale), round(height * scale)))
    rgb = ImageOps.exif_transpose(image).convert("RGB")
    if keep:
        return TakenPhoto(data, width, height)
    if scale < 1:
        longer_first = rgb.size[0] >= rgb.size[1]
        ratio = max(rgb.size) / min(rgb.size)
        size = (round(max_side * ratio), max_side) if longer_first else (max_side, round(max_side * ratio))
        rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=quality)
    return TakenPhoto(buffer.getvalue(), *rgb.size)


def to_pixels(data: bytes, size: int) -> np.ndarray:
    """Decode, resize the shorter side to `size` px (bicubic) and crop the centre, as CLIP does.

    Returns:
        (size, size, 3) uint8.

    Raises:
        PhotoError: the bytes don't decode.
    """
    with _opened(data) as image:
        try:
            image.draft("RGB", (2 * size, 2 * size))  # libjpeg scales by 1/2, 1/4, 1/8 while it decodes
            rgb = image.convert("RGB")
        except Exception as error:  # on broken bytes Pillow's readers raise whatever they stumble over
            raise PhotoError(f"does not decode: {error}") from error
    rgb = _no_strip(rgb)
    width, height = rgb.size
    scale = size / min(width, height)
    wide, high = max(size, int(width * scale)), max(size, int(height * scale))
    if (wide, high) != (width, height):
        rgb = rgb.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return np.asarray(rgb.crop((left, top, left + size, top + size)))


def side_by_side(photos: Sequence[bytes], height: int, gap: int = 8) -> bytes:
    """One JPEG of several photos (JPEG bytes, at least one) scaled to `height` px, in a row on white.

    Raises:
        PhotoError: one doesn't decode.
    """
    scaled = []
    for data in photos:
        with _opened(data) as image:
            try:
                rgb = image.convert("RGB")
            except Exception as error:  # as above
                raise PhotoError(f"does not decode: {error}") from error
        scaled.append(rgb.resize((max(1, round(rgb.width * height / rgb.height)), height), Image.Resampling.BICUBIC))
    row = Image.new("RGB", (sum(one.width for one in scaled) + gap * (len(scaled) - 1), height), "white")
    left = 0
    for one in scaled:
        row.paste(one, (left, 0))
        left += one.width + gap
    buffer = io.BytesIO()
    row.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _no_strip(image: Image.Image) -> Image.Image:
    """The middle of a photo that is far longer than it is wide: resized whole, a strip would not fit into memory."""
    width, height = image.size
    reach = MAX_RATIO * min(width, height)
    if max(width, height) <= reach:
        return image
    left, top = max(0, (width - reach) // 2), max(0, (height - reach) // 2)
    return image.crop((left, top, width - left, height - top))


def _opened(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoTooLargeError(str(error)) from error
    except Exception as error:  # as above
        raise PhotoError(f"not an image: {error}") from error
    if image.size[0] * image.size[1] > max_pixels:
        raise PhotoTooLargeError(f"{image.size[0]} x {image.size[1]} px; at most {max_pixels} are decoded")
    return image
