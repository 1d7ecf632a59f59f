"""Pictures of the report, drawn without pyplot, which has process-wide state."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from showcases.extras import imports_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#b4472b", "#2f6f7d", "#7a6a2f", "#6b4a86")  # one per variant, the first one is served
GREY = "#6e675e"  # of references: non-personalised rankers, the ground truth


@dataclass(frozen=True)
class Picture:
    """A figure of the report, in a file `<name>.png`; shown beside the table of the same name."""

    name: str
    alt: str
    caption: str
    png: bytes


def blank(columns: int = 1, width: float = 7.6, height: float = 4.8) -> "tuple[Figure, list[Axes]]":
    """A figure of `columns` axes side by side; width and height in inches at 130 dpi."""
    with imports_of("studies"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    found = figure.subplots(1, columns, squeeze=False)[0].tolist()
    for axes in found:
        axes.grid(axis="y", alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, found


def png_of(figure: "Figure") -> bytes:
    """The figure as PNG bytes."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()
