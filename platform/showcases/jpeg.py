"""What a JPEG says beside its picture: where it was taken, by whose camera, a small picture of what was cut away."""

import re

from showcases.photos import PhotoError, TakenPhoto, take_in

MAX_SCANS = 20  # libjpeg's progressive files have 10; each more has all pixels gone over again, for a few bytes
START, END, SCAN = b"\xff\xd8", 0xD9, 0xDA
# In a scan 0xFF stands before 0 or a restart marker; before anything else it ends the scan.
_NEXT = re.compile(rb"(?<!\xff)\xff++([^\x00\xd0-\xd7\xff])")
_KEPT = {0xE0: (b"JFIF\0", 14), 0xE2: (b"ICC_PROFILE\0", 65533), 0xEE: (b"Adobe", 12)}  # start, at most so many bytes


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


def without_metadata(data: bytes) -> bytes:
    """A JPEG without EXIF, XMP, IPTC, comments, thumbnails, and whatever comes after its end; nothing is decoded.

    Raises:
        PhotoError: its segments are broken or cut off, or it has more than MAX_SCANS scans.
    """
    kept, place, scans = [START], len(START), 0
    while True:
        found = _NEXT.search(data, place)
        if found is None:
            raise PhotoError("the JPEG is cut off")
        if scans:
            kept.append(data[place : found.start()])
        elif found.start() != place:
            raise PhotoError("the JPEG's segments are broken")
        marker = found.group(1)[0]
        if marker == END:
            return b"".join([*kept, b"\xff\xd9"])
        scans += marker == SCAN
        if scans > MAX_SCANS:
            raise PhotoError(f"the JPEG has more than {MAX_SCANS} scans")
        content = _content(data, found.end())
        place = found.end() + 2 + len(content)
        if not _tells(marker, content):
            kept.append(b"\xff" + data[found.end() - 1 : place])


def _content(data: bytes, place: int) -> bytes:
    """Of the segment whose length stands at `place`."""
    length = int.from_bytes(data[place : place + 2], "big")
    if length < 2 or place + length > len(data):
        raise PhotoError("the JPEG is cut off")
    return data[place + 2 : place + length]


def _tells(marker: int, content: bytes) -> bool:
    """Whether a segment is a comment, or an application's, of whom only those that tell about colours stay."""
    if marker in _KEPT:
        start, at_most = _KEPT[marker]
        return not (content.startswith(start) and len(content) <= at_most)
    return marker == 0xFE or 0xE0 <= marker <= 0xEF
