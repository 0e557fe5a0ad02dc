"""A screen as an SVG, which needs no font and no colour of the reader's."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.picture.screen import Cell, Style

_WIDTH, _HEIGHT = 7.85, 18.5
_MARGIN, _BAR = 18, 34
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_PAPER, _INK = "#161b22", "#d7dee6"
_COLOURS = {
    31: "#ff7b72",
    32: "#7ee787",
    33: "#e3b341",
    34: "#79c0ff",
    35: "#d2a8ff",
    36: "#76e3ea",
    37: "#f0f6fc",
    90: "#8b949e",
    91: "#ffa198",
    92: "#9be9a8",
    93: "#f2cc60",
    94: "#a5d6ff",
    95: "#e2c5ff",
    96: "#b3f0ff",
}


def draw(lines: Sequence[Sequence[Cell]], *, columns: int, title: str) -> str:
    """The picture.

    Args:
        lines: what is on the screen.
        columns: its width.
        title: what it shows, for those who don't see it.
    """
    width, height = columns * _WIDTH + 2 * _MARGIN, len(lines) * _HEIGHT + _BAR + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>text {{ font: 13px {_FONTS}; fill: {_INK}; white-space: pre; }}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{_PAPER}"/>',
        *(f'<circle cx="{20 + 18 * i}" cy="18" r="5.5" fill="#3d4652"/>' for i in range(3)),
    )
    return "\n".join([*head, *(_row(line, number) for number, line in enumerate(lines)), "</svg>", ""])


def _row(line: Sequence[Cell], number: int) -> str:
    y = _BAR + (number + 0.75) * _HEIGHT
    pieces, column = [], 0
    for style, run in groupby(line, key=lambda cell: cell.style):
        text = "".join(cell.character for cell in run)
        if text.strip():
            # A length, so that letters stand in their columns whatever the reader's font.
            lead = len(text) - len(text.lstrip(" "))
            shown = text.strip(" ")
            x, length = _MARGIN + (column + lead) * _WIDTH, len(shown) * _WIDTH
            place = f'x="{x:.1f}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
            pieces.append(f"<tspan {place}{_look(style)}>{escape(shown)}</tspan>")
        column += len(text)
    return f'<text y="{y:.1f}">{"".join(pieces)}</text>' if pieces else ""


def _look(style: Style) -> str:
    colour = f' fill="{_COLOURS[style.colour]}"' if style.colour in _COLOURS else ""
    weight = ' font-weight="700"' if style.is_bold else ""
    return colour + weight + (' opacity="0.65"' if style.is_faint else "")
