"""Strip metadata from a photo's file, so that broken metadata does not make the photo unreadable.

Pillow fails on a PNG whose text has a wrong checksum, on a TIFF's odd resolution, on a JPEG's short segments. Files are
parsed just far enough to remove metadata; pixels, palettes and their dependencies stay unchanged, and their defects are
still detected.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

from showcases.errors import PhotoError

TAG = 0x0112  # tag of the orientation
MAX_SCANS = 20  # libjpeg's progressive files have 10; each further scan costs a pass over all pixels, for a few bytes
START, END, SCAN = b"\xff\xd8", 0xD9, 0xDA
# In a scan 0xFF is followed by 0 or a restart marker; otherwise it ends the scan.
_NEXT = re.compile(rb"(?<!\xff)\xff++([^\x00\xd0-\xd7\xff])")
# Color-related application segments by marker: their prefix and length in bytes
_JPEG_KEPT = {0xE0: (b"JFIF\0", 14, 14), 0xE2: (b"ICC_PROFILE\0", 14, 65533), 0xEE: (b"Adobe", 12, 12)}
_AVIF_EXIF = re.compile(rb"(infe(?:\x02...|\x03.....)....)Exif", re.DOTALL)
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# TIFF: size, samples, compression, strips, tiles, palette, predictor, alpha, sample format, JPEG and YCbCr tables
_TIFF_KEPT = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339),
    *(347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 50674),
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Bare:
    """A file prepared for Pillow.

    Attributes:
        data: the file; PNG and TIFF without metadata.
        orientation: of a TIFF, or from a PNG's EXIF.
        color_key: transparent color of a PNG with 16-bit RGB.
    """

    data: bytes
    orientation: int | None = None
    color_key: tuple[int, int, int] | None = None


def bare(data: bytes, kind: str) -> Bare:
    """Remove the metadata of a PNG, TIFF or AVIF; other formats are unchanged.

    Raises:
        PhotoError: the checksum of a PNG's pixels, palette or header is wrong.
    """
    return {"PNG": _png, "TIFF": _tiff, "AVIF": _avif}.get(kind, Bare)(data)


def exif_orientation(source: Image.Image | bytes) -> int:
    """Orientation, 1 to 8, from an image's EXIF or XMP, or from an EXIF block; 1 if missing or broken."""
    try:
        if isinstance(source, bytes):
            exif = Image.Exif()
            exif.load(source)
        else:
            exif = Image.Image.getexif(source)  # a PNG's own getexif decodes it
        found = exif.get(TAG)
    except Exception:  # Pillow raises arbitrary exceptions on broken data
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation (1 to 8)."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def without_metadata(data: bytes) -> bytes:
    """A JPEG without EXIF, XMP, IPTC, comments, thumbnails, and trailing data; nothing is decoded.

    Raises:
        PhotoError: its segments are broken or truncated, or it has more than MAX_SCANS scans.
    """
    parts, place, scans = [START], len(START), 0
    while True:
        found = _NEXT.search(data, place)
        if found is None:
            raise PhotoError("the JPEG is cut off")
        if scans:
            parts.append(data[place : found.start()])
        elif found.start() != place:
            raise PhotoError("the JPEG's segments are broken")
        marker = found.group(1)[0]
        if marker == END:
            return b"".join([*parts, b"\xff\xd9"])
        scans += marker == SCAN
        if scans > MAX_SCANS:
            raise PhotoError(f"the JPEG has more than {MAX_SCANS} scans")
        content = _content(data, found.end())
        place = found.end() + 2 + len(content)
        if not _tells(marker, content):
            parts.append(b"\xff" + data[found.end() - 1 : place])


def _content(data: bytes, place: int) -> bytes:
    """Content of the segment whose length is at `place`."""
    length = int.from_bytes(data[place : place + 2], "big")
    if length < 2 or place + length > len(data):
        raise PhotoError("the JPEG is cut off")
    return data[place + 2 : place + length]


def _tells(marker: int, content: bytes) -> bool:
    """Whether to remove a segment: comments, and application segments except those about colors."""
    if marker in _JPEG_KEPT:
        start, least, most = _JPEG_KEPT[marker]
        return not (content.startswith(start) and least <= len(content) <= most)
    return marker == 0xFE or 0xE0 <= marker <= 0xEF


def _png(data: bytes) -> Bare:
    parts, place, key, orientation = [data[:8]], 8, None, None
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        content, end = data[place + 8 : place + 8 + length], place + 12 + length
        if name in _PNG_CRITICAL:
            crc = data[end - 4 : end]
            if len(crc) == 4 and int.from_bytes(crc, "big") != zlib.crc32(name + content):
                raise PhotoError(f"the PNG is damaged: the checksum of its {name.decode()} is wrong")
            parts.append(data[place:end])
        elif name == b"tRNS":
            changed, key = _transparency(content, data[24:26])
            parts.append(changed)
        elif name == b"eXIf":  # anywhere; Pillow finds only one before the pixels
            orientation = exif_orientation(content)
        if name == b"IEND":
            break
        place = end
    return Bare(b"".join(parts), orientation, key)


def _transparency(content: bytes, form: bytes) -> tuple[bytes, tuple[int, int, int] | None]:
    """The chunk tRNS, rescaled to Pillow's samples, or empty if invalid; and a 16-bit transparent color."""
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


def _avif(data: bytes) -> Bare:
    return Bare(_AVIF_EXIF.sub(rb"\1free", data))  # Pillow reads the orientation from the boxes


def _tiff(data: bytes) -> Bare:
    """Keep only the first directory, with only the tags that pixels need."""
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
    orientation, parts = 1, []
    for entry in entries:
        if len(entry) < width:
            break
        tag, kind = struct.unpack_from(order + "HH", entry)
        if tag == TAG:
            form = {1: "B", 3: "H", 4: "I"}.get(kind, "x")  # SHORT in the standard, but some writers use others
            orientation = next(iter(struct.unpack_from(order + form, entry, width - struct.calcsize(pointer))), 1)
        elif tag in _TIFF_KEPT:
            parts.append(entry)
    directory = struct.pack(counted, len(parts)) + b"".join(parts) + bytes(struct.calcsize(pointer))
    return Bare(data[:start] + directory + data[start + len(directory) :], orientation)
