"""How many metadata blocks a photo's file has, counted before a decoder sees them.

Pillow joins a JPEG's APP1 segments and a GIF's comments again and again, and inflates every iCCP chunk of a PNG: some
megabytes of tiny blocks cost minutes of CPU.
"""

from showcases.errors import PhotoError

MAX_BLOCKS = 500  # an honest file has about eight
MAX_INFLATED = 50  # of a PNG's chunks that hold compressed metadata
MAX_PIECES = 20_000  # sub-blocks of up to 255 bytes before a GIF's first image, about 5 MB
_INFLATED = (b"iCCP", b"zTXt", b"iTXt")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without content
_EXTENSION = 0x21  # of a GIF


def check_blocks(data: bytes, kind: str) -> None:
    """Refuse a file with far more metadata blocks than any camera or program writes.

    Args:
        kind: one of PHOTO_KINDS; only JPEG, PNG and GIF are looked at. What is broken in other ways passes.

    Raises:
        PhotoError: there are too many.
    """
    counter = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif}.get(kind)
    if counter is not None and not counter(data):
        raise PhotoError(f"a {kind} file with more than {MAX_BLOCKS} blocks of metadata, which is not decoded")


def _jpeg(data: bytes) -> bool:
    """Whether at most MAX_BLOCKS segments come before the first scan."""
    place, blocks = 2, 0
    while place + 4 <= len(data) and blocks <= MAX_BLOCKS:
        if data[place] != 0xFF:
            place = data.find(b"\xff", place)  # junk, which Pillow passes over as well
            if place < 0:
                return True
        elif (marker := data[place + 1]) in (_START_OF_SCAN, _END_OF_IMAGE):
            return True
        elif marker == 0xFF:
            place += 1
            continue  # a fill byte
        else:
            place += 2 if marker in _NO_LENGTH else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        blocks += 1
    return blocks <= MAX_BLOCKS


def _png(data: bytes) -> bool:
    """Whether at most MAX_BLOCKS chunks, and MAX_INFLATED compressed ones, are not pixels."""
    place, blocks, inflated = 8, 0, 0
    while place + 8 <= len(data) and blocks <= MAX_BLOCKS and inflated <= MAX_INFLATED:
        name = data[place + 4 : place + 8]
        if name == b"IEND":
            return True
        blocks += name not in (b"IDAT", b"fdAT", b"fcTL")
        inflated += name in _INFLATED
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return blocks <= MAX_BLOCKS and inflated <= MAX_INFLATED


def _gif(data: bytes) -> bool:
    """Whether at most MAX_BLOCKS extensions, of MAX_PIECES sub-blocks, come before the first image."""
    if len(data) < 13:
        return True
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)  # behind the global color table
    blocks = pieces = 0
    while place + 2 < len(data) and data[place] == _EXTENSION and blocks <= MAX_BLOCKS and pieces <= MAX_PIECES:
        blocks, place = blocks + 1, place + 2
        while place < len(data) and data[place] and pieces <= MAX_PIECES:
            place, pieces = place + 1 + data[place], pieces + 1
        place += 1
    return blocks <= MAX_BLOCKS and pieces <= MAX_PIECES
