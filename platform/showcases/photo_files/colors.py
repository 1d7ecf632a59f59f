"""Convert pixels of any mode to 8-bit RGB as a viewer would show them.

Rules for cases in which Pillow's `convert("RGB")` clips or drops:

- Integers of 16 bits and less are scaled by their range: 0 is black, 2**bits - 1 white (2**(bits - 1) - 1 if signed).
- Integers of 32 bits and floats have no standard range: it is the smallest of 0..1 (floats only), 0..255,
  0..65535 and the full range of the type that contains all values of the photo. If some are negative, or floats lie
  above 65535, the photo's minimum is black and its maximum white. NaN is black.
- Anything transparent is composited on white.
"""

import numpy as np
from PIL import Image, ImageCms

WHITE_IS_ZERO = 0
PHOTOMETRIC, BITS, SAMPLE_FORMAT, SIGNED = 262, 258, 339, 2  # TIFF tags, and a value
ROWS = 256  # rows scaled at once


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode a complete photo to mode RGB.

    Args:
        image: opened by Pillow.

    Raises:
        Exception: whatever Pillow's readers raise on broken bytes.
    """
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # not in place
        return converted
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits."""
    tags = getattr(image, "tag_v2", {})
    bits, signed = (tags.get(BITS) or (16,))[0], (tags.get(SAMPLE_FORMAT) or (1,))[0] == SIGNED
    samples = np.asarray(image)
    if image.mode == "I" and bits == 32 and not signed:
        samples = samples.view(np.uint32)
    low, high = _range(samples, bits, signed)
    grey = np.empty(samples.shape, np.uint8)
    for row in range(0, len(samples), ROWS):
        part = np.nan_to_num(samples[row : row + ROWS].astype(np.float64), nan=low, posinf=high, neginf=low)
        grey[row : row + ROWS] = np.rint((part - low).clip(0, high - low) / (high - low) * 255)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    if isinstance(clear := image.info.get("transparency"), int):
        grey[samples == clear] = 255
    return Image.fromarray(grey)


def _range(samples: np.ndarray, bits: int, signed: bool) -> tuple[float, float]:
    """Black and white levels, by the module's rules."""
    finite = samples[np.isfinite(samples)] if samples.dtype.kind == "f" else samples
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    whole = float(2 ** (bits - signed) - 1)
    tops = (1.0, 255.0, 65535.0) if samples.dtype.kind == "f" else (255.0, 65535.0, whole) if bits > 16 else (whole,)
    top = next((top for top in tops if high <= top), None)
    if low >= 0 and top is not None:
        return 0.0, top
    return low, high if high > low else low + 1


def whiten(high: Image.Image, low: Image.Image, key: tuple[int, int, int]) -> Image.Image:
    """RGB with the transparent 16-bit color as white, from the upper and lower bytes of the samples."""
    samples = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)  # (height, width, 3)
    clear = (samples == np.array(key, np.uint16)).all(axis=-1, keepdims=True)
    return Image.fromarray(np.where(clear, np.uint8(255), np.asarray(high)))
