"""What a JPEG says beside its picture: where it was taken, by whose camera, a small picture of what was cut away."""

from showcases.photo_files.bare import START, without_metadata
from showcases.photos import TakenPhoto, take_in


def take_to_show(data: bytes, max_pixels: int) -> TakenPhoto:
    """Check a photo by decoding it whole; an upright JPEG keeps its pixels as they are, all else is written anew.

    The result is upright and tells nothing beside its picture but how its colours are meant.

    Args:
        max_pixels: a photo with more is not decoded.

    Raises:
        PhotoTooLargeError: of more pixels.
        PhotoError: not an image, cut off, or with more than MAX_SCANS scans.
    """
    bare = without_metadata(data) if data.startswith(START) else None
    taken = take_in(data, max_side=0, max_pixels=max_pixels)
    kept = bare is not None and taken.data is data
    return TakenPhoto(bare if kept and bare else without_metadata(taken.data), taken.width, taken.height)
