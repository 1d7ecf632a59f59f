"""Removal of a JPEG's metadata, such as location, camera, and thumbnails of the uncropped picture."""

from showcases.photo_files.bare import START, without_metadata
from showcases.photos import TakenPhoto, take_in


def take_to_show(data: bytes, max_pixels: int) -> TakenPhoto:
    """Verify a photo by decoding it; an upright JPEG is not re-encoded, all others are.

    The result is upright and has no metadata except its color profile.

    Args:
        max_pixels: a photo with more is not decoded.

    Raises:
        PhotoTooLargeError: of more pixels.
        PhotoError: not an image, cut off, or with more than MAX_SCANS scans.
    """
    bare = without_metadata(data) if data.startswith(START) else None
    taken = take_in(data, max_side=0, max_pixels=max_pixels)
    is_unchanged = bare is not None and taken.data is data
    return TakenPhoto(bare if is_unchanged and bare else without_metadata(taken.data), taken.width, taken.height)
