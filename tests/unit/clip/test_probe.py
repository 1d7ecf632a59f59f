"""The choice of the dtype: by closeness and by speed, both; an encoder that plays either part."""

from collections.abc import Sequence

import numpy as np
import pytest

from showcases.clip.probe import Choice, choose_dtype

PIXELS = np.zeros((3, 8, 8, 3), np.uint8)


class FakeEncoder:
    """As slow (seconds a photo) and as coarse (radians) in bfloat16 as told."""

    def __init__(self, seconds: dict[str, float], angle: float) -> None:
        self.dtype, self.seconds, self.angle = "float32", seconds, angle
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        self.now += self.seconds[self.dtype] * len(pixels)
        return self._vectors(len(pixels))

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return self._vectors(len(texts))

    def _vectors(self, n: int) -> np.ndarray:
        turned = self.angle if self.dtype == "bfloat16" else 0.0
        return np.tile(np.array([np.cos(turned), np.sin(turned)], np.float32), (n, 1))


@pytest.mark.parametrize(
    ("seconds", "angle", "chosen"),
    [
        ({"float32": 0.02, "bfloat16": 0.002}, 0.01, "bfloat16"),  # fast and close
        ({"float32": 0.02, "bfloat16": 0.002}, 0.1, "float32"),  # fast, but cos 0.1 = 0.995
        ({"float32": 0.002, "bfloat16": 0.02}, 0.01, "float32"),  # close, but slow
    ],
)
def test_it_takes_bfloat16_only_where_it_is_faster_and_close(
    seconds: dict[str, float], angle: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = FakeEncoder(seconds, angle)
    monkeypatch.setattr("showcases.clip.probe.time", encoder)
    choice = choose_dtype(encoder, PIXELS, ["a"], batch=4)  # type: ignore[arg-type]
    assert choice.dtype == chosen
    assert choice.cosine == pytest.approx(np.cos(angle), abs=1e-5)
    assert choice.float32_per_s == pytest.approx(1 / seconds["float32"])
    assert choice.bfloat16_per_s == pytest.approx(1 / seconds["bfloat16"])
    assert encoder.dtype == chosen


def test_a_slow_machine_is_not_asked_for_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = FakeEncoder({"float32": 0.1, "bfloat16": 0.05}, 0.0)
    monkeypatch.setattr("showcases.clip.probe.time", encoder)
    assert choose_dtype(encoder, PIXELS, [], batch=64).dtype == "bfloat16"  # type: ignore[arg-type]
    assert encoder.now < 3 * (0.1 + 0.05) + 1 * 0.1 + 2 * 0.1 + 4 * 0.1 + 2 * 4 * (0.1 + 0.05) + 1e-6


def test_without_a_photo_nothing_is_probed() -> None:
    assert choose_dtype(FakeEncoder({}, 0), PIXELS[:0], [], 4) == Choice("float32")  # type: ignore[arg-type]
