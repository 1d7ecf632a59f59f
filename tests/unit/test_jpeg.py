"""What a photo tells beside its picture is gone; its pixels are the ones that came, where they can be."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from showcases.jpeg import take_to_show
from showcases.photo_files.bare import MAX_SCANS, without_metadata
from showcases.photos import PhotoError

SECRETS = (b"Maker", b"somewhere", b"after the end", b"http://ns.adobe.com", b"Photoshop")


def picture(mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", orientation: int = 1, **more: Any) -> bytes:
    """A file with a place, a maker and a comment."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 51.0, 29.0)
    stream = io.BytesIO()
    image.save(stream, kind, exif=exif, **more)
    return stream.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    "how",
    [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"restart_marker_rows": 1}],
)
def test_a_jpeg_keeps_its_pixels_and_its_colours_and_nothing_else(how: dict[str, Any]) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    said = b"\xff\xe1\x00\x1ehttp://ns.adobe.com/xap/1.0/\xff\xed\x00\x0bPhotoshop"
    data = encoded(picture(), comment=b"somewhere", icc_profile=profile, **how)
    data = data[:2] + said + data[2:] + b"after the end"
    assert all(secret in data for secret in SECRETS)
    taken = take_to_show(data, 10**6)
    assert (taken.width, taken.height) == (80, 60)
    np.testing.assert_array_equal(pixels(taken.data), pixels(data))
    shown = Image.open(io.BytesIO(taken.data))
    assert not shown.getexif() and shown.info["icc_profile"] == profile
    assert not any(secret in taken.data for secret in SECRETS)


def test_a_turned_photo_is_set_upright() -> None:
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (32, 0, 64, 32))
    taken = take_to_show(encoded(image, orientation=6, comment=b"somewhere"), 10**6)  # to be turned clockwise
    assert (taken.width, taken.height) == (32, 64)
    shown = Image.open(io.BytesIO(taken.data))
    assert not shown.getexif() and not any(secret in taken.data for secret in SECRETS)
    (red, _, low), (small, _, blue) = shown.getpixel((16, 8)), shown.getpixel((16, 56))
    assert red > 200 > 50 > low and blue > 200 > 50 > small


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "P"), ("WEBP", "RGB"), ("JPEG", "L")])
def test_other_kinds_become_jpegs(kind: str, mode: str) -> None:
    data = encoded(picture(mode), kind)
    taken = take_to_show(data, 10**6)
    shown = Image.open(io.BytesIO(taken.data))
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (80, 60)) and not shown.getexif()
    assert b"Maker" in data and b"Maker" not in taken.data


def test_what_is_cut_off_broken_or_too_much_is_refused() -> None:
    data = encoded(picture())
    for length in range(2, len(data) - 1, 29):
        with pytest.raises(PhotoError):
            take_to_show(data[:length], 10**6)
    with pytest.raises(PhotoError, match="at most 4799"):
        take_to_show(data, 4799)
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="more than 20 scans"):
        without_metadata(data[:-2] + MAX_SCANS * scan + data[-2:])
    for broken in (b"\xff\xd8", b"\xff\xd8abc" + data[2:], b"\xff\xd8\xff\xda\x00\x02" + b"\xff" * 10**6):
        with pytest.raises(PhotoError):  # the last would run for hours, were the search for a marker quadratic
            without_metadata(broken)
