"""Files with a great many metadata blocks are refused before they are decoded; some hundred blocks are taken."""

import io
import struct
import zlib

import pytest
from PIL import Image

from showcases.errors import PhotoError
from showcases.photo_files.blocks import MAX_BLOCKS, MAX_INFLATED
from showcases.photos import measured, take_in, to_pixels


def photo(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(file, kind)
    return file.getvalue()


def jpeg_with(segments: int, content: bytes = b"Exif\0\0", marker: int = 0xE1) -> bytes:
    data = photo("JPEG")
    segment = b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(content)) + content
    return data[:2] + segment * segments + data[2:]


def png_with(chunks: int, name: bytes = b"tEXt", content: bytes = b"key\0value") -> bytes:
    data = photo("PNG")
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return data[:33] + chunk * chunks + data[33:]  # behind IHDR


def gif_with(comments: int, comment: bytes = b"\x01a") -> bytes:
    data = photo("GIF")
    place = data.index(b"\x2c", 13 + (3 << (data[10] & 7) + 1))
    return data[:place] + (b"\x21\xfe" + comment + b"\0") * comments + data[place:]


PROFILE = b"icc\0\0" + zlib.compress(bytes(100_000))
MANY = {
    "JPEG, APP1": jpeg_with(100_000),
    "JPEG, empty APP0": jpeg_with(100_000, b"", 0xE0),
    "JPEG, comments": jpeg_with(100_000, b"x", 0xFE),
    "PNG, text": png_with(50_000),
    "PNG, profiles": png_with(MAX_INFLATED + 1, b"iCCP", PROFILE),
    "GIF, comments": gif_with(50_000),
    "GIF, one comment in pieces": gif_with(1, b"\x01a" * 50_000),
}
SOME = {
    "JPEG": jpeg_with(MAX_BLOCKS - 20),
    "PNG": png_with(MAX_BLOCKS - 20),
    "PNG, profiles": png_with(2, b"iCCP", PROFILE),
    "GIF": gif_with(MAX_BLOCKS - 20),
}


@pytest.mark.parametrize("name", MANY)
def test_too_many_blocks_are_refused(name: str) -> None:
    for read in (lambda data: take_in(data, 64), lambda data: to_pixels(data, 32), measured):
        with pytest.raises(PhotoError, match="blocks of metadata"):
            read(MANY[name])


@pytest.mark.parametrize("name", SOME)
def test_some_hundred_blocks_are_taken(name: str) -> None:
    assert take_in(SOME[name], 64).width == 64
    assert abs(int(to_pixels(SOME[name], 32)[16, 16, 0]) - 200) < 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_file_cut_anywhere_is_left_to_the_decoder(kind: str) -> None:
    data = photo(kind)
    for end in range(len(data)):
        try:
            measured(data[:end])
        except PhotoError as error:
            assert "blocks" not in str(error)
