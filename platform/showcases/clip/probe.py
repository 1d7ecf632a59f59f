"""Which dtype to encode in: measured on the machine and the photos at hand, once, before the work begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from showcases.clip.config import Dtype

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

MIN_COSINE = 0.999  # to the float32 vector, of every photo and sentence of the sample
MIN_GAIN = 1.05  # less is within the noise of the measurement
PASS_SECONDS = 0.25  # as long as a pass must take to be timed


@dataclass(frozen=True)
class Choice:
    """The dtype that all vectors of one work are made with, and why.

    Attributes:
        cosine: the least of the sample's vectors to their float32 vectors; 1 where nothing was probed.
        float32_per_s: photos a second while it was probed; 0 where nothing was.
        bfloat16_per_s: the same.
    """

    dtype: Dtype
    cosine: float = 1.0
    float32_per_s: float = 0.0
    bfloat16_per_s: float = 0.0

    @property
    def spoken(self) -> str:
        """Why, for a person."""
        rates = f"float32 {self.float32_per_s:,.1f} and bfloat16 {self.bfloat16_per_s:,.1f} photos a second"
        return f"{rates} when probed, least cosine {self.cosine:.5f}"


def choose_dtype(encoder: "ClipEncoder", pixels: np.ndarray, texts: Sequence[str], batch: int) -> Choice:
    """Take bfloat16 where it is faster and stays close to float32; float32 where there is no photo to tell by.

    Args:
        encoder: left in the dtype that is chosen.
        pixels: (n, size, size, 3) uint8, a sample of photos.
        texts: a sample of sentences; their closeness counts too.
        batch: photos a forward pass while it is timed, at most; fewer where they take PASS_SECONDS already.
    """
    if not len(pixels):
        return Choice("float32")
    vectors, rates = {}, {}
    timed = 0
    for dtype in ("float32", "bfloat16"):
        encoder.dtype = dtype  # type: ignore[assignment]
        vectors[dtype] = np.concatenate([encoder.encode_pixels(pixels), encoder.encode_text(texts)])  # warms up too
        timed = timed or _enough(encoder, pixels, batch)
        rates[dtype] = timed / _best_of(2, encoder, _repeated(pixels, timed))
    cosine = float((vectors["float32"] * vectors["bfloat16"]).sum(1).min())
    faster = rates["bfloat16"] > MIN_GAIN * rates["float32"]
    encoder.dtype = "bfloat16" if faster and cosine > MIN_COSINE else "float32"
    return Choice(encoder.dtype, round(cosine, 6), round(rates["float32"], 2), round(rates["bfloat16"], 2))


def _enough(encoder: "ClipEncoder", pixels: np.ndarray, batch: int) -> int:
    """So many photos take PASS_SECONDS, or fill the batch."""
    photos = 1
    while photos < batch and _best_of(1, encoder, _repeated(pixels, photos)) < PASS_SECONDS:
        photos = min(2 * photos, batch)
    return photos


def _repeated(pixels: np.ndarray, photos: int) -> np.ndarray:
    return pixels[np.resize(np.arange(len(pixels)), photos)]


def _best_of(times: int, encoder: "ClipEncoder", pixels: np.ndarray) -> float:
    """Seconds of the fastest pass."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        encoder.encode_pixels(pixels)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
