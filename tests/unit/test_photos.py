"""Photos: what is taken in, what is refused, and pixels equal to open_clip's own preprocessing."""

import io

import numpy as np
import pytest
from PIL import Image

from showcases.compat import import_torchvision
from showcases.photos import PhotoError, take_in, to_pixels


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], -1).astype(np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def test_a_small_jpeg_is_kept_byte_for_byte() -> None:
    data = jpeg(gradient(150, 120))
    assert take_in(data, 256).data == data


@pytest.mark.parametrize("size", [(1200, 900), (900, 1200), (257, 2000)])
def test_a_large_photo_is_shrunk_to_the_shorter_side(size: tuple[int, int]) -> None:
    photo = take_in(jpeg(gradient(*size)), 256)
    assert min(photo.width, photo.height) == 256
    assert photo.width / photo.height == pytest.approx(size[0] / size[1], rel=0.01)
    assert Image.open(io.BytesIO(photo.data)).size == (photo.width, photo.height)


def test_a_turned_photo_is_stored_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    photo = take_in(jpeg(gradient(100, 60), exif=exif), 256)
    assert (photo.width, photo.height) == (60, 100)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_other_modes_and_formats_become_rgb_jpeg(mode: str) -> None:
    buffer = io.BytesIO()
    gradient(80, 60).convert(mode).save(buffer, "PNG")
    stored = Image.open(io.BytesIO(take_in(buffer.getvalue(), 256).data))
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (80, 60))


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", jpeg(gradient(200, 200))[:1500]])
def test_bytes_that_are_no_photo_are_refused(data: bytes) -> None:
    with pytest.raises(PhotoError):
        take_in(data, 256)
    with pytest.raises(PhotoError):
        to_pixels(data, 64)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, 8000)).save(buffer, "PNG")
    with pytest.raises(PhotoError, match="8000 x 8000"):
        take_in(buffer.getvalue(), 256)


@pytest.mark.parametrize("size", [(128, 128), (100, 150), (64, 64), (150, 149), (300, 70)])
def test_pixels_equal_open_clips_preprocessing(size: tuple[int, int]) -> None:
    import_torchvision()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    data = jpeg(gradient(*size))
    transform = image_transform_v2(PreprocessCfg(size=64, mean=(0.0,) * 3, std=(1.0,) * 3), is_train=False)
    expected = (transform(Image.open(io.BytesIO(data))).permute(1, 2, 0).numpy() * 255).round()
    assert np.abs(to_pixels(data, 64).astype(int) - expected).max() <= 1


def test_draft_mode_stays_close_to_a_whole_decode() -> None:
    image = gradient(1600, 1200)
    from_draft = to_pixels(jpeg(image), 64).astype(float)
    scale = image.resize((85, 64), Image.Resampling.BICUBIC).crop((10, 0, 74, 64))
    assert np.abs(from_draft - np.asarray(scale, float)).mean() < 2


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (2, 601)])
def test_a_strip_is_resized_without_blowing_up(size: tuple[int, int]) -> None:
    """Resized whole, 1 x 60,000 px would become 64 x 3,840,000."""
    pixels = to_pixels(jpeg(Image.new("RGB", size, (200, 100, 50))), 64)
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 3


def test_the_middle_of_a_long_photo_is_what_open_clip_takes() -> None:
    import_torchvision()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    image = gradient(100, 1500)
    transform = image_transform_v2(PreprocessCfg(size=64, mean=(0.0,) * 3, std=(1.0,) * 3), is_train=False)
    expected = (transform(Image.open(io.BytesIO(jpeg(image)))).permute(1, 2, 0).numpy() * 255).round()
    assert np.abs(to_pixels(jpeg(image), 64).astype(int) - expected).max() <= 2
