"""A sweep's results as one HTML page that asks no server for anything."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from tuning.pictures import svg_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #2b2723; background: #fffdf9; max-width: 70rem; margin: 2rem auto;
  padding: 0 1rem; }
figure { margin: 1.5rem 0; overflow-x: auto; } svg { max-width: 100%; height: auto; } figcaption { color: #6e675e; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e5ded4; white-space: nowrap; }
tr.paper td { color: #2f6f7d; font-weight: 600; } tr.best td { color: #b4472b; font-weight: 600; }
pre { background: #f5f0e8; padding: 1rem; overflow-x: auto; }
"""


def page(
    title: str,
    told: Sequence[str],
    table: Sequence[Sequence[str]],
    pictures: "Mapping[str, tuple[str, Figure]]",
    config: str,
) -> str:
    """The whole page.

    Args:
        told: paragraphs before the pictures.
        table: a head, then a row a trial, the best first.
        pictures: by name, what each shows and the picture.
        config: the best config, as YAML.
    """
    shown = "\n".join(
        f'<figure id="{escape(name)}">{svg_of(figure)}<figcaption>{escape(caption)}</figcaption></figure>'
        for name, (caption, figure) in pictures.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
{"".join(f"<p>{escape(line)}</p>" for line in told)}
{shown}
<h2>Trials</h2>
<div class="wide">{_table(table)}</div>
<h2>The best config</h2>
<pre>{escape(config)}</pre>
</body></html>
"""


def _table(table: Sequence[Sequence[str]]) -> str:
    head, *body = table
    lines = [_row(head, "th", "")]
    for place, cells in enumerate(body):
        kind = "best" if not place else "paper" if cells[0].startswith("paper") else ""
        lines.append(_row(cells, "td", kind))
    return "<table>" + "\n".join(lines) + "</table>"


def _row(cells: Sequence[str], tag: str, kind: str) -> str:
    return f'<tr class="{kind}">' + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
