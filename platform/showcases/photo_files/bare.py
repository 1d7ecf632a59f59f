"""A photo's file without what pixels don't need, so that broken metadata can't cost the photo.

Pillow reads some of the metadata when it opens or loads a file and raises where it is broken: EXIF with odd types or
denominators of 0, text chunks with a wrong checksum, a JPEG's table of further pictures, a TIFF's resolution. Here
the file is taken apart just far enough to leave these out; pixels, palettes and all that they depend on stay as they
are, and what is wrong with them is still found. Only the orientation is read.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from showcases.errors import PhotoError
from showcases.photo_files.orientation import TAG, exif_orientation, profile_orientation, value_of, xmp_orientation

_JPEG_KEPT = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}  # they say how colors are stored; start, bytes at least
_JPEG_BARE = (0x01, *range(0xD0, 0xDB))  # markers without a length, and SCAN: what follows is left alone
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
# TIFF: size, samples, compression, strips, tiles, palette, predictor, alpha, sample format, JPEG and YCbCr tables
_TIFF_KEPT = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339),
    *(347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 50674),
}
_AVIF_EXIF = re.compile(rb"(infe(?:\x02...|\x03.....)....)Exif", re.DOTALL)


@dataclass(frozen=True)
class Bare:
    """A file as it is given to Pillow.

    Attributes:
        data: the file without metadata.
        orientation: 1 to 8, as in EXIF.
        is_single: whether it holds one picture and no further one behind it.
        color_key: of a PNG with 16-bit RGB: the color that is transparent.
    """

    data: bytes
    orientation: int = 1
    is_single: bool = True
    color_key: tuple[int, int, int] | None = None


def bare(data: bytes, kind: str) -> Bare:
    """Take the metadata out of a photo's file.

    Args:
        kind: one of PHOTO_KINDS.

    Raises:
        PhotoError: the checksum of a PNG's pixels, palette or header is wrong.
    """
    match kind:
        case "JPEG":
            return _jpeg(data)
        case "PNG":
            return _png(data)
        case "TIFF":
            return _tiff(data)
        case "WEBP":
            return _webp(data)
        case "AVIF":
            return Bare(_AVIF_EXIF.sub(rb"\1free", data))  # Pillow reads the orientation of its boxes
    return Bare(data)


def _jpeg(data: bytes) -> Bare:
    kept, place, single = [data[:2]], 2, True
    exif = xmp = None
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        end = place + 2 + length
        if marker in _JPEG_BARE or marker == 0xFF or length < 2 or end > len(data):
            break  # pixels, or nothing that can be taken apart
        content = data[place + 4 : end]
        if marker == 0xE1 and content.startswith(b"Exif\0"):
            exif = exif or exif_orientation(content[6:])
        elif marker == 0xE1 and content.startswith(_XMP):
            xmp = xmp or xmp_orientation(content)
        single = single and not (marker == 0xE2 and content.startswith(b"MPF\0"))
        start, least = _JPEG_KEPT.get(marker, (b"", 0))
        is_metadata = marker == 0xFE or 0xE0 <= marker <= 0xEF
        if not is_metadata or (start and content.startswith(start) and len(content) >= least):
            kept.append(data[place:end])
        place = end
    return Bare(b"".join([*kept, data[place:]]), exif or xmp or 1, single)


def _png(data: bytes) -> Bare:
    kept, place, key = [data[:8]], 8, None
    exif = other = None
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        content, end = data[place + 8 : place + 8 + length], place + 12 + length
        if name in _PNG_CRITICAL:
            crc = data[end - 4 : end]
            if len(crc) == 4 and int.from_bytes(crc, "big") != zlib.crc32(name + content):
                raise PhotoError(f"the PNG is damaged: the checksum of its {name.decode()} is wrong")
            kept.append(data[place:end])
        elif name == b"tRNS":
            changed, key = _transparency(content, data[24:26])
            kept.append(changed)
        elif name == b"eXIf":
            exif = exif or exif_orientation(content)
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            other = other or _png_text(name, content)
        if name == b"IEND":
            break
        place = end
    return Bare(b"".join(kept), exif or other or 1, color_key=key)


def _png_text(name: bytes, content: bytes) -> int | None:
    keyword, _, value = content.partition(b"\0")
    if keyword in _PROFILES and name != b"iTXt":
        return profile_orientation(value[1:] if name == b"zTXt" else value, compressed=name == b"zTXt")
    return xmp_orientation(content) if keyword == b"XML:com.adobe.xmp" else None


def _transparency(content: bytes, form: bytes) -> tuple[bytes, tuple[int, int, int] | None]:
    """The chunk tRNS in the scale of the samples that Pillow gives; none if it is not of its form; a 16-bit color."""
    depth, color = form if len(form) == 2 else (0, 0)
    if color == 0 and len(content) == 2:
        value = int.from_bytes(content, "big")
        scaled = value * 255 // (2**depth - 1) if depth in (2, 4) else value
        return _chunk(b"tRNS", scaled.to_bytes(2, "big")) if scaled < 2**16 else b"", None
    if color == 2 and len(content) == 6:
        if depth == 16:
            red, green, blue = struct.unpack(">HHH", content)
            return b"", (red, green, blue)
        return _chunk(b"tRNS", content), None
    return (_chunk(b"tRNS", content), None) if color == 3 and 0 < len(content) <= 256 else (b"", None)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _tiff(data: bytes) -> Bare:
    """With the first directory alone, and in it only the tags that pixels need."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    counted, pointer, width = (order + "Q", order + "Q", 20) if big else (order + "H", order + "I", 12)
    try:
        (start,) = struct.unpack_from(pointer, data, 8 if big else 4)
        (count,) = struct.unpack_from(counted, data, start)
    except struct.error:
        return Bare(data)
    first = start + struct.calcsize(counted)
    entries = [data[place : place + width] for place in range(first, min(first + count * width, len(data)), width)]
    orientation, kept = 1, []
    for entry in entries:
        if len(entry) < width:
            break
        tag, kind = struct.unpack_from(order + "HH", entry)
        if tag == TAG:
            orientation = value_of(entry, width - struct.calcsize(pointer), kind, order) or 1
        elif tag in _TIFF_KEPT:
            kept.append(entry)
    directory = struct.pack(counted, len(kept)) + b"".join(kept) + bytes(struct.calcsize(pointer))
    return Bare(data[:start] + directory + data[start + len(directory) :], orientation)


def _webp(data: bytes) -> Bare:
    place, exif, xmp = 12, None, None
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"EXIF":
            exif = exif or exif_orientation(data[place + 8 : place + 8 + size])
        elif name == b"XMP ":
            xmp = xmp or xmp_orientation(data[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return Bare(data, exif or xmp or 1)
