"""JPEG bytes to pixels: the only place where photos are decoded."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from showcases.errors import ShowcasesError

ORIENTATION = 0x0112  # EXIF tag
MAX_PIXELS = 30_000_000  # a larger photo is refused before it is decoded


class PhotoError(ShowcasesError):
    """Bytes that are not a photo we can use."""


@dataclass(frozen=True)
class TakenPhoto:
    """A photo as it is stored: RGB JPEG, sides in px."""

    data: bytes
    width: int
    height: int


def take_in(data: bytes, max_side: int) -> TakenPhoto:
    """Check a photo by decoding it whole, and shrink it where it is larger than needed.

    Args:
        data: the file's bytes, of any format that Pillow reads.
        max_side: px; the shorter side is shrunk to this; 0 keeps the size.

    Raises:
        PhotoError: not an image, truncated, or of more than 30 million pixels.
    """
    with _opened(data) as image:
        width, height = image.size
        shorter = min(width, height)
        upright = image.getexif().get(ORIENTATION, 1) == 1
        small = not max_side or shorter <= max_side
        keep = image.format == "JPEG" and image.mode == "RGB" and upright and small
        scale = max_side / shorter if max_side and shorter > max_side else 1.0
        image.draft("RGB", (round(width * scale), round(height * scale)))
        try:
            rgb = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoError(f"does not decode: {error}") from error
        if keep:
            return TakenPhoto(data, width, height)
        if scale < 1:
            longer_first = rgb.size[0] >= rgb.size[1]
            ratio = max(rgb.size) / min(rgb.size)
            size = (round(max_side * ratio), max_side) if longer_first else (max_side, round(max_side * ratio))
            rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=90)
    return TakenPhoto(buffer.getvalue(), *rgb.size)


def to_pixels(data: bytes, size: int) -> np.ndarray:
    """Decode, resize the shorter side to `size` px (bicubic) and crop the centre, as CLIP does.

    Returns:
        (size, size, 3) uint8.

    Raises:
        PhotoError: the bytes don't decode.
    """
    with _opened(data) as image:
        image.draft("RGB", (2 * size, 2 * size))  # libjpeg scales by 1/2, 1/4, 1/8 while it decodes
        try:
            rgb = image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoError(f"does not decode: {error}") from error
    width, height = rgb.size
    scale = size / min(width, height)
    wide, high = max(size, int(width * scale)), max(size, int(height * scale))
    if (wide, high) != (width, height):
        rgb = rgb.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    return np.asarray(rgb.crop((left, top, left + size, top + size)))


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"not an image: {error}") from error
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise PhotoError(f"{image.size[0]} x {image.size[1]} px; at most {MAX_PIXELS} are decoded")
    return image
