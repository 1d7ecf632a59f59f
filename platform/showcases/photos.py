"""Decode photos: the only module that does so."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from showcases.errors import PhotoError, PhotoTooLargeError
from showcases.photo_files.bare import Bare, bare, exif_orientation, upright, without_metadata
from showcases.photo_files.blocks import check_blocks
from showcases.photo_files.colors import to_rgb, whiten
from showcases.photo_files.kinds import PHOTO_KINDS, kind_of

__all__ = ["FORMATS", "MAX_PIXELS", "PhotoError", "PhotoTooLargeError", "TakenPhoto", "measured", "side_by_side",
           "take_in", "to_pixels"]  # fmt: skip

MAX_PIXELS = 30_000_000  # larger photos are rejected before decoding
FORMATS = PHOTO_KINDS  # Pillow's other decoders are disabled for untrusted input; AVIF if Pillow supports it
MAX_RATIO = 8  # of the longer to the shorter side, above which only the middle is decoded


@dataclass(frozen=True)
class TakenPhoto:
    """A photo as it is stored: RGB JPEG, sides in px."""

    data: bytes
    width: int
    height: int


def take_in(data: bytes, max_side: int, max_pixels: int = MAX_PIXELS, quality: int = 90) -> TakenPhoto:
    """Verify a photo by decoding it, and downscale it if it is larger than needed.

    Metadata is ignored except for the orientation. Transparency becomes white; samples of more than 8 bits are scaled
    (see showcases.photo_files.colors).

    Args:
        data: the file's bytes, in any of FORMATS, detected by content.
        max_side: px; the shorter side is downscaled to this; 0 keeps the size.
        max_pixels: a photo with more is not decoded.
        quality: of the JPEG, if it is re-encoded; 1 to 95.

    Raises:
        PhotoTooLargeError: of more pixels.
        PhotoError: not an image, truncated, or not to be written as JPEG.
    """
    photo = _Photo(data, max_pixels)
    width, height = photo.image.size
    shorter = min(width, height)
    scale = max_side / shorter if max_side and shorter > max_side else 1.0
    rgb = photo.rgb((round(width * scale), round(height * scale)))
    if photo.is_plain_jpeg and scale == 1:
        return TakenPhoto(photo.file.data, width, height)
    if scale < 1:
        longer_first = rgb.size[0] >= rgb.size[1]
        ratio = max(rgb.size) / min(rgb.size)
        size = (round(max_side * ratio), max_side) if longer_first else (max_side, round(max_side * ratio))
        rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    try:
        rgb.save(buffer, "JPEG", quality=quality)
    except Exception as error:  # a side of more than 65,500 px
        raise PhotoError(f"{rgb.size[0]} x {rgb.size[1]} px can't be written as JPEG") from error
    return TakenPhoto(buffer.getvalue(), *rgb.size)


def to_pixels(data: bytes, size: int) -> np.ndarray:
    """Decode, resize the shorter side to `size` px (bicubic) and crop the centre, as CLIP does.

    Returns:
        (size, size, 3) uint8.

    Raises:
        PhotoError: the bytes don't decode.
    """
    rgb = _no_strip(_Photo(data).rgb((2 * size, 2 * size)))
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
        rgb = _Photo(data).rgb()
        scaled.append(rgb.resize((max(1, round(rgb.width * height / rgb.height)), height), Image.Resampling.BICUBIC))
    row = Image.new("RGB", (sum(one.width for one in scaled) + gap * (len(scaled) - 1), height), "white")
    left = 0
    for one in scaled:
        row.paste(one, (left, 0))
        left += one.width + gap
    buffer = io.BytesIO()
    row.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def measured(data: bytes, max_pixels: int = MAX_PIXELS, formats: Sequence[str] = FORMATS) -> tuple[int, int]:
    """Width and height in px from the file's header, before orientation; nothing is decoded.

    Raises:
        PhotoTooLargeError: of more pixels.
        PhotoError: no image of `formats`.
    """
    return _Photo(data, max_pixels, formats).image.size


class _Photo:
    """An opened photo, not yet decoded.

    Raises:
        PhotoTooLargeError: of more than `max_pixels`.
        PhotoError: no image of `formats`.
    """

    def __init__(self, data: bytes, max_pixels: int = MAX_PIXELS, formats: Sequence[str] = FORMATS) -> None:
        self.kind = kind_of(data)
        if self.kind not in formats:
            found = f"{_of(self.kind)}, which" if self.kind in PHOTO_KINDS else f"not an image: {_of(self.kind)}, which"
            raise PhotoError(f"{found} can't be taken; {', '.join(formats)} can")
        check_blocks(data, self.kind)
        self.file = bare(data, self.kind)
        try:
            self.image = self._open(self.file)
        except PhotoError as error:
            if self.kind != "JPEG":
                raise
            try:
                self.file = Bare(without_metadata(data))
            except PhotoError:
                raise error from None
            self.image = self._open(self.file)
        if self.image.size[0] * self.image.size[1] > max_pixels:
            raise PhotoTooLargeError(
                f"{self.image.size[0]} x {self.image.size[1]} px; at most {max_pixels} are decoded"
            )
        self.orientation = self.file.orientation or self._exif_orientation(data)
        self.is_plain_jpeg = self.image.format == "JPEG" and self.image.mode == "RGB" and self.orientation == 1

    def rgb(self, draft: tuple[int, int] | None = None) -> Image.Image:
        """Decode the photo to upright RGB.

        Args:
            draft: width and height in px; libjpeg may downscale by 1/2, 1/4, 1/8 during decoding, to no less than this.

        Raises:
            PhotoError: the bytes don't decode.
        """
        try:
            if draft:
                self.image.draft("RGB", draft)
            rgb = to_rgb(self.image)
            if self.file.color_key:
                rgb = whiten(rgb, self._low_bytes(), self.file.color_key)
        except Exception as error:  # Pillow's decoders raise arbitrary exceptions on broken bytes
            raise PhotoError(f"does not decode: {self._damage(error)}") from error
        return upright(rgb, self.orientation)

    def _open(self, file: Bare) -> Image.Image:
        try:
            return Image.open(io.BytesIO(file.data), formats=(self.kind,))
        except Image.DecompressionBombError as error:
            raise PhotoTooLargeError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} px") from error
        except UnidentifiedImageError as error:
            if self.kind == "AVIF" and not features.check("avif"):
                raise PhotoError("not an image that can be read: AVIF needs Pillow 11.3 or newer") from error
            raise PhotoError(f"not an image that can be read: {_of(self.kind)} that is damaged, or rare") from error
        except Exception as error:  # as above
            raise PhotoError(f"not an image that can be read: {self._damage(error)}") from error

    def _exif_orientation(self, data: bytes) -> int:
        if self.file.data is data or self.kind == "AVIF":  # Pillow applies an AVIF's orientation from its boxes
            return exif_orientation(self.image)
        try:
            return exif_orientation(Image.open(io.BytesIO(data), formats=(self.kind,)))
        except Exception:  # as above
            return 1

    def _low_bytes(self) -> Image.Image:
        """Lower bytes of 16-bit RGB, of which Pillow returns the upper ones, by declaring the other byte order."""
        image = self._open(self.file)
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]  # type: ignore[attr-defined]
        return image.convert("RGB")

    def _damage(self, error: Exception) -> str:
        """Description of the damage, without Pillow's internals."""
        if isinstance(error, MemoryError):
            return f"{_of(self.kind)} that needs more memory than there is"
        cut = any(word in str(error).lower() for word in ("truncat", "not enough", "no more", "ended", "not processed"))
        return f"{_of(self.kind)} that is {'cut off' if cut else 'damaged'}"


def _of(kind: str) -> str:
    """A kind with its article."""
    if kind not in PHOTO_KINDS:
        return kind
    return f"{'an' if kind == 'AVIF' else 'a'} {kind} file"


def _no_strip(image: Image.Image) -> Image.Image:
    """The middle of a very elongated photo, whose resized version would exceed memory."""
    width, height = image.size
    reach = MAX_RATIO * min(width, height)
    if max(width, height) <= reach:
        return image
    left, top = max(0, (width - reach) // 2), max(0, (height - reach) // 2)
    return image.crop((left, top, width - left, height - top))
