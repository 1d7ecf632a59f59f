"""Metadata in any state costs no photo; the orientation is read all the same; broken pixels are still found."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from showcases.jpeg import take_to_show
from showcases.photos import PhotoError, measured, take_in, to_pixels

TALL = Image.new("RGB", (48, 64), "red")
TALL.paste("blue", (0, 32, 48, 64))  # red above blue
TURNED = TALL.transpose(Image.Transpose.ROTATE_90)  # as a camera stores it that writes orientation 6


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def entry(tag: int, kind: int, count: int, value: int, order: str = "<") -> bytes:
    if kind == 3 and count == 1:
        return struct.pack(order + "HHIHH", tag, kind, count, value, 0)
    return struct.pack(order + "HHII", tag, kind, count, value)


def exif(*entries: bytes, tail: bytes = b"", order: str = "<") -> bytes:
    """An EXIF block of these entries; what their values point to begins at byte 8 + 2 + 12 per entry + 4."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4) + tail


SIX = entry(0x0112, 3, 1, 6)
BLOCKS = {
    "a rational with denominator 0": exif(SIX, entry(0x011A, 5, 1, 38), tail=struct.pack("<II", 72, 0)),
    "a rational that points outside": exif(SIX, entry(0x011A, 5, 1, 2**31)),
    "a resolution that is text": exif(SIX, entry(0x011A, 2, 4, 0x41414141)),
    "a unit of resolution that is a float": exif(SIX, entry(0x0128, 11, 1, 0x7F800000)),
    "a GPS directory that points outside": exif(SIX, entry(0x8825, 4, 1, 2**30)),
    "a GPS directory that is text": exif(SIX, entry(0x8825, 2, 4, 0x41414141)),
    "an EXIF directory that is itself": exif(SIX, entry(0x8769, 4, 1, 8)),
    "an unknown type": exif(SIX, entry(0x9999, 99, 7, 1)),
    "a maker's note of 4 GB": exif(SIX, entry(0x927C, 7, 2**32 - 1, 100)),
    "a user comment that is a signed rational": exif(SIX, entry(0x9286, 10, 3, 8)),
    "text of no known encoding": exif(SIX, entry(0x010F, 2, 9, 38), tail=b"\xff\xfe\xfd\xfc\x80\x81\x82\x83\0"),
    "more entries than there are": exif(SIX)[:8] + struct.pack("<H", 60000) + SIX,
    "a big-endian block": exif(entry(0x0112, 3, 1, 6, ">"), entry(0x011A, 5, 1, 38, ">"), tail=bytes(8), order=">"),
    "an orientation that is a LONG": exif(entry(0x0112, 4, 1, 6)),
}
JUNK = {
    "nothing": b"",
    "noise": bytes(range(7, 200)),
    "a directory outside": b"II*\0" + struct.pack("<I", 2**31),
    "half a head": b"MM\0*",
    "an orientation of 9": exif(entry(0x0112, 3, 1, 9)),
    "an orientation that is text": exif(entry(0x0112, 2, 2, 0x36)),
}


def with_exif(image: Image.Image, kind: str, block: bytes) -> bytes:
    """The image's file with this block as its EXIF, put there by hand: a writer would mend it."""
    if kind == "JPEG":
        data, content = saved(image, kind, quality=95), b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    if kind == "PNG":
        return with_chunk(saved(image, kind), b"eXIf", block)
    if kind == "WEBP":
        room = b"Exif\0\0" + bytes(len(block) + 2 + len(block) % 2)
        data = saved(image, kind, exif=room, quality=95)
        place = data.index(b"EXIF") + 8
        return data[:place] + block.ljust(len(data) - place, b"\0")
    raise ValueError(kind)


def with_chunk(data: bytes, name: bytes, content: bytes, crc: int | None = None) -> bytes:
    """A PNG with one more chunk before its pixels."""
    crc = zlib.crc32(name + content) if crc is None else crc
    place = data.index(b"IDAT") - 4
    return data[:place] + struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc) + data[place:]


def assert_upright(data: bytes) -> None:
    """Red above blue, from each way that takes photos in."""
    taken = take_in(data, 0)
    assert (taken.width, taken.height) == (48, 64)
    for pixels in (to_pixels(data, 48), np.asarray(Image.open(io.BytesIO(taken.data)))):
        top, bottom = pixels[6, 24].astype(int), pixels[-6, 24].astype(int)
        assert top[0] > 200 > 60 > top[2] and bottom[2] > 200 > 60 > bottom[0]


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_only_the_orientation_is_read_of_exif(kind: str, name: str) -> None:
    data = with_exif(TURNED, kind, BLOCKS[name])
    assert_upright(data)
    assert take_to_show(data, 10**6).height == 64  # what the service does with an upload


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_that_is_junk_turns_nothing(kind: str, name: str) -> None:
    assert_upright(with_exif(TALL, kind, JUNK[name]))


def test_an_avif_is_turned_by_its_boxes_and_its_exif_may_be_junk() -> None:
    data = saved(TURNED, "AVIF", exif=exif(SIX, entry(0x0100, 4, 1, 0x41424344)), quality=95)
    assert_upright(data)
    start = data.rindex(b"II*\0")
    length = data.index(b"DCBA", start) + 8 - start
    for junk in (bytes(length), b"\xff" * length, b"II*\0\xff\xff\xff\xff" + bytes(length - 8)):
        assert_upright(data[:start] + junk + data[start + length :])  # the boxes still say 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_shows_what_a_viewer_shows(kind: str, orientation: int) -> None:
    """Beside Pillow's own exif_transpose, on a picture that looks different in every turn."""
    from PIL import ImageOps

    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (5, 4, 3), np.uint8)).resize((64, 80), Image.Resampling.NEAREST)
    block = Image.Exif()
    block[0x0112] = orientation
    data = saved(image, kind, exif=block.tobytes(), **({} if kind in ("PNG", "TIFF") else {"quality": 95}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
    taken = take_in(data, 0, quality=95)
    assert (taken.height, taken.width) == expected.shape[:2]
    assert np.abs(np.asarray(Image.open(io.BytesIO(taken.data))).astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    "name", [b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"gAMA", b"iCCP", b"eXIf", b"sRGB", b"cHRM", b"abCd"]
)
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"Comment\0hello", b"x\0\7junk", bytes(40)], ids=["empty", "zero", "text", "junk", "zeros"]
)
def test_a_pngs_other_chunks_may_be_broken(name: bytes, content: bytes) -> None:
    assert_upright(with_chunk(saved(TALL, "PNG"), name, content))
    assert_upright(with_chunk(saved(TALL, "PNG"), name, content, crc=0xBADBAD))
    assert measured(with_chunk(saved(TALL, "PNG"), name, content, crc=0)) == (48, 64)


def test_text_that_unpacks_to_megabytes_is_not_unpacked() -> None:
    assert_upright(with_chunk(saved(TALL, "PNG"), b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9)))


def test_a_checksum_behind_the_pixels_does_not_matter_either() -> None:
    data = saved(TALL, "PNG")
    end = data.index(b"IEND") - 4
    assert_upright(data[:end] + b"\0\0\0\3tEXta\0b\1\2\3\4" + data[end:])


def test_a_pngs_exif_may_stand_behind_its_pixels() -> None:
    data = saved(TURNED, "PNG")
    end, block = data.index(b"IEND") - 4, exif(SIX)
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    assert_upright(data[:end] + chunk + data[end:])


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT"])
def test_the_checksums_of_pixels_still_matter(name: bytes) -> None:
    data = saved(TURNED, "PNG")
    place = data.index(name) - 4
    end = place + 12 + int.from_bytes(data[place : place + 4], "big")
    broken = data[: end - 4] + bytes(4) + data[end:]
    for way in (lambda: take_in(broken, 0), lambda: to_pixels(broken, 32)):
        with pytest.raises(PhotoError, match=f"checksum of its {name.decode()} is wrong"):
            way()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_half_a_photo_is_no_photo(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = saved(noise, kind)
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(PhotoError, match=f"{kind}"):
            take_in(data[: int(len(data) * part)], 0)


@pytest.mark.parametrize("text", [b'tiff:Orientation="6"', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_xmp_turns_a_photo_that_has_no_exif(text: bytes) -> None:
    content = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + text
    data = saved(TURNED, "JPEG", quality=95)
    assert_upright(data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:])
    assert_upright(with_chunk(saved(TURNED, "PNG"), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>" + text))


def test_imagemagicks_profile_turns_a_png() -> None:
    block = b"Exif\0\0" + exif(SIX)
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    assert_upright(with_chunk(saved(TURNED, "PNG"), b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))
    assert_upright(with_chunk(saved(TURNED, "PNG"), b"tEXt", b"Raw profile type exif\0" + text))
    assert_upright(with_chunk(saved(TALL, "PNG"), b"zTXt", b"Raw profile type exif\0\0junk"))


def tiff(order: str, *more: bytes, big: bool = False) -> bytes:
    """TURNED as an uncompressed TIFF with further tags, written by hand."""
    raw = np.asarray(TURNED).tobytes()
    width, height = TURNED.size
    start = 16 if big else 8
    whole, wide, count = ("Q", "Q", "Q") if big else ("I", "I", "H")

    def tag(number: int, kind: int, value: int, n: int = 1) -> bytes:
        content = struct.pack(order + {3: "H", 4: "I"}[kind], value).ljust(struct.calcsize(order + wide), b"\0")
        return struct.pack(order + "HH" + whole, number, kind, n) + content

    place = start + len(raw)
    bits = struct.pack(order + "HHH", 8, 8, 8)
    directory = place + 6 + 2
    if big:
        depth = struct.pack(order + "HHQ", 258, 3, 3) + bits.ljust(8, b"\0")
        head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    else:
        depth = struct.pack(order + "HHII", 258, 3, 3, place)
        head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, directory)
    tags = [tag(256, 3, width), tag(257, 3, height), depth, tag(259, 3, 1), tag(262, 3, 2), tag(273, 4, start),
            tag(274, 3, 6), tag(277, 3, 3), tag(278, 3, height), tag(279, 4, len(raw)), *more]  # fmt: skip
    return head + raw + bits + bytes(2) + struct.pack(order + count, len(tags)) + b"".join(tags) + bytes(8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiffs_other_tags_may_be_broken(order: str) -> None:
    assert_upright(tiff(order))
    if order == "<":  # Pillow takes the other for a damaged one
        assert_upright(tiff(order, big=True))
    for more in (
        [entry(282, 2, 4, 0x41414141, order), entry(283, 2, 4, 0x41414141, order), entry(296, 3, 1, 3, order)],
        [entry(282, 5, 1, 2**31, order)],
        [entry(0x8825, 4, 1, 2**30, order)],
        [entry(0x8769, 2, 4, 0x41414141, order)],
        [entry(34675, 7, 2**31, 8, order)],
        [entry(700, 3, 1, 5, order), entry(33723, 99, 5, 5, order)],
    ):
        assert_upright(tiff(order, *more))


def test_a_small_jpeg_with_broken_exif_is_stored_as_it_came() -> None:
    data = with_exif(TALL, "JPEG", JUNK["noise"])
    assert take_in(data, 256).data is data


def test_a_jpeg_with_further_pictures_behind_it_is_stored_as_one() -> None:
    buffer = io.BytesIO()
    TALL.save(buffer, "MPO", save_all=True, append_images=[TURNED], quality=95)
    taken = take_in(buffer.getvalue(), 0)
    assert_upright(buffer.getvalue())
    assert len(taken.data) < len(buffer.getvalue()) and taken.data.count(b"\xff\xd8\xff") == 1


def test_a_jpegs_broken_table_of_further_pictures_costs_nothing() -> None:
    data, content = saved(TALL, "JPEG", quality=95), b"MPF\0II*\0" + struct.pack("<I", 9) + b"\xff" * 30
    assert_upright(data[:2] + b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content + data[2:])
    for short in (b"JFIF", b"Adobe", b"Photoshop 3.0\0", b"ICC_PROFILE\0", b"FPXR\0"):
        for marker in (0xE0, 0xED, 0xEE, 0xE2):
            segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(short) + 2) + short
            assert_upright(data[:2] + segment + data[2:])
