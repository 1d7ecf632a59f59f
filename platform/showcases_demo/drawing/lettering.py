"""Words in pictures, in the font that Pillow carries: the same on every machine."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

from showcases_demo.drawing.stage import Color, Stage


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write(stage: Stage, text: str, middle: tuple[float, float], height: float, color: Color) -> None:
    """The text around a pixel position, `height` pixels tall, with a little weight."""
    size = max(8, int(height))
    stage.pen.text(middle, text, fill=(*color, 255), font=_font(size), anchor="mm", stroke_width=max(1, size // 24))
