"""Pixels of every mode beside NumPy arithmetic on the source arrays: nothing is clipped, nothing hidden is shown."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from showcases.photos import take_in, to_pixels

SIDE = 64
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)  # the brightness that each test's file means


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored(data: bytes) -> np.ndarray:
    """What the artifact `images` holds, decoded by Pillow alone: (SIDE, SIDE, 3), float."""
    image = Image.open(io.BytesIO(take_in(data, 0, quality=95).data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return np.asarray(image).astype(float)


def assert_shows(data: bytes, expected: np.ndarray, off: float = 4.0) -> None:
    """Both ways to pixels show `expected` (0 to 255), but for JPEG's and rounding's errors."""
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    assert np.abs(to_pixels(data, SIDE) - expected).max() <= 1.01
    assert np.abs(stored(data) - expected).mean() <= off


def u16(ramp: np.ndarray = RAMP) -> np.ndarray:
    return np.rint(ramp * 65535).astype(np.uint16)


def test_16_bit_grey_png_is_scaled() -> None:
    assert_shows(saved(Image.fromarray(u16()), "PNG"), RAMP * 255)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_16_bit_grey_tiff_is_scaled(compression: str) -> None:
    assert_shows(saved(Image.fromarray(u16()), "TIFF", compression=compression), RAMP * 255)


def tiff(samples: np.ndarray, form: int, order: str = "<", photometric: int = 1, bits: int = 0) -> bytes:
    """An uncompressed grey TIFF, written by hand: `form` is 1 unsigned, 2 signed, 3 float."""
    raw = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    height, width = samples.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits or samples.dtype.itemsize * 8), (259, 3, 1),
            (262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(raw)),
            (339, 3, form)]  # fmt: skip
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + struct.pack(order + ("HH" if kind == 3 else "I"), *[value, 0][: 5 - kind])
        for tag, kind, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(raw))
    return head + raw + struct.pack(order + "H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_integers_are_scaled_by_their_range(order: str) -> None:
    assert_shows(tiff(u16(), 1, order), RAMP * 255)
    assert_shows(tiff(np.rint(RAMP * 32767).astype(np.int16), 2, order), RAMP * 255)
    assert_shows(tiff(np.rint(RAMP * (2**31 - 1)).astype(np.int32), 2, order), RAMP * 255)


def test_unsigned_integers_of_32_bits_are_scaled_by_their_range() -> None:
    assert_shows(tiff(np.rint(RAMP * (2**32 - 1)).astype(np.uint32), 1), RAMP * 255)


@pytest.mark.parametrize("top", [255, 65535])
def test_narrow_samples_in_wide_integers_are_scaled_by_the_range_they_fill(top: int) -> None:
    assert_shows(tiff(np.rint(RAMP * top).astype(np.int32), 2), RAMP * 255)


def test_where_white_is_zero_the_photo_is_no_negative() -> None:
    assert_shows(tiff(u16(1 - RAMP), 1, photometric=0), RAMP * 255)
    assert_shows(tiff((1 - RAMP).astype(np.float32), 3, photometric=0), RAMP * 255)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("top", [1, 255, 65535])
def test_floats_are_scaled_by_the_customary_range_that_holds_them(top: int, order: str) -> None:
    assert_shows(tiff((RAMP * top).astype(np.float32), 3, order), RAMP * 255)


def test_floats_of_no_customary_range_are_scaled_by_their_own() -> None:
    assert_shows(tiff((RAMP * 7 - 3).astype(np.float32), 3), RAMP * 255)
    assert_shows(tiff((RAMP * 0.5 - 0.25).astype(np.float32), 3), RAMP * 255)
    assert_shows(tiff((RAMP * 1e6).astype(np.float32), 3), RAMP * 255)


def test_floats_that_are_no_numbers_are_black_and_infinite_ones_the_ends() -> None:
    odd = RAMP.astype(np.float32)
    odd[0, :3] = np.nan, -np.inf, np.inf
    expected = RAMP * 255
    expected[0, :3] = 0, 0, 255
    assert np.abs(to_pixels(tiff(odd, 3), SIDE)[:, :, 0] - expected).max() <= 1.01
    nothing = tiff(np.full((SIDE, SIDE), np.nan, np.float32), 3)
    assert not to_pixels(nothing, SIDE).any()


def test_a_photo_of_one_value_keeps_its_brightness() -> None:
    assert_shows(tiff(np.full((SIDE, SIDE), 0.5, np.float32), 3), np.full((SIDE, SIDE), 127.5))
    assert_shows(tiff(np.full((SIDE, SIDE), 30000, np.uint16), 1), np.full((SIDE, SIDE), 30000 / 257))


COLOR = np.stack([RAMP * 255, 255 - RAMP * 255, 90 + 0 * RAMP], -1).round().astype(np.uint8)
ALPHA = np.rint(RAMP.T * 255).astype(np.uint8)


def on_white(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    part = alpha[:, :, None] / 255.0
    return color * part + 255 * (1 - part)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_alpha_is_composited_on_white(kind: str) -> None:
    options = {"WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(
        kind, {}
    )
    data = saved(Image.fromarray(np.dstack([COLOR, ALPHA])), kind, **options)
    expected = on_white(COLOR, ALPHA)
    if kind == "AVIF":  # lossy
        assert np.abs(to_pixels(data, SIDE) - expected).mean() <= 2
    else:
        assert_shows(data, expected, off=6)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_is_composited_on_white(kind: str) -> None:
    data = saved(Image.fromarray(np.dstack([COLOR[:, :, 0], ALPHA]), "LA"), kind)
    assert_shows(data, on_white(COLOR[:, :, :1], ALPHA).repeat(3, -1))


def test_premultiplied_alpha_of_a_tiff_is_composited_on_white() -> None:
    grey = np.rint(COLOR[:, :, 0] * (ALPHA / 255)).astype(np.uint8)
    samples = np.dstack([grey, ALPHA])
    head = b"II" + struct.pack("<HI", 42, 8 + samples.size)
    tags = [(256, 3, 1, SIDE), (257, 3, 1, SIDE), (258, 3, 2, 8 | 8 << 16), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, 8),
            (277, 3, 1, 2), (278, 3, 1, SIDE), (279, 4, 1, samples.size), (338, 3, 1, 1)]  # fmt: skip
    data = head + samples.tobytes() + struct.pack("<H", len(tags))
    data += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    expected = grey + 255.0 - ALPHA
    assert np.abs(to_pixels(data, SIDE)[:, :, 0] - expected).mean() <= 1.5


def palette_picture() -> tuple[Image.Image, np.ndarray, np.ndarray]:
    index = (np.arange(SIDE * SIDE) // 16 % 256).reshape(SIDE, SIDE).astype(np.uint8)
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(index, "P")
    image.putpalette(colors.tobytes())
    return image, index, colors


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_one_transparent_color_of_a_palette_is_white(kind: str) -> None:
    image, index, colors = palette_picture()
    colors[7] = 255
    expected = colors[index].astype(float)
    assert np.abs(to_pixels(saved(image, kind, transparency=7), SIDE) - expected).max() <= 1.01


def test_a_palettes_alphas_are_composited_on_white() -> None:
    image, index, colors = palette_picture()
    alphas = np.arange(256, dtype=np.uint8)
    data = saved(image, "PNG", transparency=alphas.tobytes())
    expected = on_white(colors[index], alphas[index])
    assert np.abs(to_pixels(data, SIDE) - expected).max() <= 1.01


def png(samples: np.ndarray, depth: int, color: int, transparent: tuple[int, ...]) -> bytes:
    """A PNG written by hand, with one color named as the transparent one."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if depth < 8:
        per = 8 // depth
        flat = sum(flat[:, i::per].astype(np.uint8) << (depth * (per - 1 - i)) for i in range(per))
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in flat)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    return b"\x89PNG\r\n\x1a\n" + head + key + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png_is_white_and_no_other_is(depth: int) -> None:
    top = 2**depth - 1
    samples = np.rint(RAMP * top).astype(np.uint16)
    samples[0, 0] = top // 3
    expected = samples * (255 / top)
    expected[samples == top // 3] = 255
    got = to_pixels(png(samples, depth, 0, (top // 3,)), SIDE)
    assert np.abs(got - expected[:, :, None]).max() <= 1.01


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_color_of_a_png_is_white_and_no_other_is(depth: int) -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 2**depth, (SIDE, SIDE, 3)).astype(np.uint16)
    samples[:8] = key = (3, 5, 2**depth // 2)
    samples[8:16] = near = (3, 5, 2**depth // 2 + 1)  # its upper byte is the same in 16 bits
    expected = samples / (2**depth - 1) * 255
    expected[:8] = 255
    got = to_pixels(png(samples, depth, 2, key), SIDE)
    assert np.abs(got - expected).max() <= 1.01
    assert near != key and got[8:16].max() < 200


def test_16_bit_color_is_scaled() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE, 3)).astype(np.uint16)
    got = to_pixels(png(samples, 16, 2, (1, 2, 3)), SIDE)
    assert np.abs(got - samples / 257).max() <= 1.01


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_ink(kind: str) -> None:
    ink = np.zeros((SIDE, SIDE, 4), np.uint8)
    ink[:, :32, 0] = ink[:, 32:, 2] = 255  # cyan, yellow
    got = to_pixels(saved(Image.fromarray(ink, "CMYK"), kind), SIDE).astype(int)
    assert np.abs(got[20:40, 5:20] - (0, 255, 255)).max() < 12 and np.abs(got[20:40, 45:60] - (255, 255, 0)).max() < 12


def test_lab_becomes_the_colors_it_means() -> None:
    lab = np.zeros((SIDE, SIDE, 3), np.uint8)
    lab[:, :32], lab[:, 32:] = (255, 0, 0), (136, 80, 67)  # white; red: L 53 of 100, a 80, b 67
    got = to_pixels(saved(Image.fromarray(lab, "LAB"), "TIFF"), SIDE).astype(int)
    assert np.abs(got[:, 5:20] - 255).max() < 10
    assert np.abs(got[:, 45:60] - (255, 0, 0)).max() < 30


def test_avif_is_decoded_like_any_other() -> None:
    data = saved(Image.fromarray(COLOR), "AVIF", quality=95)
    assert np.abs(to_pixels(data, SIDE).astype(float) - COLOR).mean() < 4
    taken = take_in(data, 32)
    assert (taken.width, taken.height) == (32, 32)
