"""How a photo is to be turned: the one thing that is read of its metadata, whatever state the rest is in."""

import re
import struct
import zlib

from PIL import Image

TAG = 0x0112
MAX_ENTRIES = 512  # of an EXIF directory; cameras write a few dozen
MAX_PROFILE = 1_000_000  # bytes, of an EXIF block that a PNG holds as compressed text
_XMP = re.compile(rb"tiff:Orientation(?:=\"|=\'|>)([1-8])[\"\'<]")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned as an EXIF orientation (1 to 8) says."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def exif_orientation(block: bytes) -> int | None:
    """1 to 8 by an EXIF block, with or without its `Exif` header; None if it has none or is broken."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for number in range(min(count, MAX_ENTRIES)):
            place = start + 2 + 12 * number
            tag, kind = struct.unpack_from(order + "HH", tiff, place)
            if tag == TAG:
                return value_of(tiff, place + 8, kind, order)
    except struct.error:  # ends before it should
        pass
    return None


def value_of(data: bytes, place: int, kind: int, order: str) -> int | None:
    """The orientation in a directory's entry: a SHORT by the standard, a BYTE or LONG by some writers."""
    form = {1: "B", 3: "H", 4: "I"}.get(kind)
    if form is None:
        return None
    (value,) = struct.unpack_from(order + form, data, place)
    return value if 1 <= value <= 8 else None


def xmp_orientation(packet: bytes) -> int | None:
    """1 to 8 by an XMP packet; None if it says nothing."""
    found = _XMP.search(packet)
    return int(found.group(1)) if found else None


def profile_orientation(text: bytes, compressed: bool) -> int | None:
    """1 to 8 by the value of a PNG's text `Raw profile type exif`, as ImageMagick writes it: EXIF in hex."""
    try:
        if compressed:
            text = zlib.decompressobj().decompress(text, MAX_PROFILE)
        return exif_orientation(bytes.fromhex("".join(text.decode("ascii").split("\n")[3:])))
    except (ValueError, zlib.error):
        return None
