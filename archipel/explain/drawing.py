"""The few shapes of which a picture is made, as SVG text. Whatever text comes in is escaped here, and only here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from enum import Enum


class Paint(Enum):
    """A colour: its name, on a light ground, on a dark one."""

    GROUND = ("ground", "#ffffff", "#0d1117")
    INK = ("ink", "#1f2328", "#e6edf3")
    SOFT = ("soft", "#59636e", "#9da7b3")
    FAINT = ("faint", "#d1d9e0", "#3d444d")
    HEAD = ("head", "#f6f8fa", "#151b23")
    NODE = ("node", "#ddf4ff", "#0c2d4d")
    OWN = ("own", "#fff8c5", "#3b2e00")
    ARROW = ("arrow", "#0550ae", "#79c0ff")
    SEALED = ("sealed", "#8250df", "#d2a8ff")


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not."""

_SANS = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_CODE = "ui-monospace, 'SF Mono', Menlo, Consolas, monospace"
_PREFIX = "archipel-plan"


def document(width: int, height: int, parts: Iterable[str], *, title: str, description: str) -> str:
    """Return the whole picture on its own ground."""
    # Attributes hold the light colours; where style sheets are stripped, a light picture on its own ground is left.
    dark = "".join(
        f".{_PREFIX} .f-{name}{{fill:{colour}}}.{_PREFIX} .s-{name}{{stroke:{colour}}}"
        for name, _, colour in (paint.value for paint in Paint)
    )
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{_PREFIX}" role="img" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" font-family="{_SANS}">',
            f"<title>{escaped(title)}</title><desc>{escaped(description)}</desc>",
            f"<style>@media (prefers-color-scheme:dark){{{dark}}}</style>",
            f'<rect width="{width}" height="{height}" rx="6" {_fill(Paint.GROUND)}/>',
            *parts,
            "</svg>",
        )
    )


def group(*parts: str, tooltip: str = "") -> str:
    """Return shapes that belong together, with what is shown when the pointer rests on them."""
    title = f"<title>{escaped(tooltip)}</title>" if tooltip else ""
    return f"<g>{title}{''.join(parts)}</g>"


def box(x: int, y: int, width: int, height: int, fill: Paint, stroke: Paint) -> str:
    """Return a rectangle with round corners."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" {_colours(fill=fill, stroke=stroke)}/>'


def text(
    x: int,
    y: int,
    words: str,
    *,
    size: int = 12,
    paint: Paint = Paint.INK,
    bold: bool = False,
    middle: bool = False,
    code: bool = False,
    halo: bool = False,
    chars: int | None = None,
) -> str:
    """Return a line of text, cut after ``chars``; with ``halo`` it stays legible over lines."""
    shown = words if chars is None or len(words) <= chars else words[: chars - 1] + "…"
    ground = Paint.GROUND if halo else None
    attributes = [f'x="{x}" y="{y}" font-size="{size}"', _colours(fill=paint, stroke=ground, thickness=4)]
    if bold:
        attributes.append('font-weight="600"')
    if middle:
        attributes.append('text-anchor="middle"')
    if code:
        attributes.append(f'font-family="{_CODE}"')
    if halo:
        attributes.append('stroke-linejoin="round" paint-order="stroke"')
    return f"<text {' '.join(attributes)}>{escaped(shown)}</text>"


def line(x1: int, y1: int, x2: int, y2: int, paint: Paint, *, thickness: float = 1.0, dashed: bool = False) -> str:
    """Return a straight line."""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {_stroke(paint, thickness)}{_dashes(dashed)}/>'


def loop(x: int, y: int, reach: int, paint: Paint, *, thickness: float, dashed: bool) -> str:
    """Return a curve that leaves a lane and comes back to it."""
    path = f"M {x} {y - 10} C {x + reach} {y - 14}, {x + reach} {y + 14}, {x + 6} {y + 10}"
    return f'<path d="{path}" fill="none" {_stroke(paint, thickness)}{_dashes(dashed)}/>'


def dot(x: int, y: int, paint: Paint) -> str:
    """Return the mark of a sender."""
    return f'<circle cx="{x}" cy="{y}" r="4" {_fill(paint)}/>'


def head_side(x: int, y: int, paint: Paint, *, leftwards: bool) -> str:
    """Return an arrow's head at a receiver, pointing to one side."""
    back = x + 11 if leftwards else x - 11
    return f'<polygon points="{x},{y} {back},{y - 6} {back},{y + 6}" {_fill(paint)}/>'


def head_down(x: int, y: int, paint: Paint) -> str:
    """Return an arrow's head that points downwards."""
    return f'<polygon points="{x},{y} {x - 6},{y - 11} {x + 6},{y - 11}" {_fill(paint)}/>'


def escaped(words: str) -> str:
    """Return text for an XML document.

    >>> escaped('a < "b" \\x00')
    'a &lt; &quot;b&quot; �'
    """
    return html.escape(_NOT_XML.sub("\ufffd", words))


def _fill(paint: Paint) -> str:
    return _colours(fill=paint)


def _stroke(paint: Paint, thickness: float = 1.0) -> str:
    return _colours(stroke=paint, thickness=thickness)


def _colours(*, fill: Paint | None = None, stroke: Paint | None = None, thickness: float = 1.0) -> str:
    """Return the attributes of a shape's colours: one class attribute, whatever it has."""
    names, attributes = [], []
    if fill is not None:
        names.append(f"f-{fill.value[0]}")
        attributes.append(f'fill="{fill.value[1]}"')
    if stroke is not None:
        names.append(f"s-{stroke.value[0]}")
        attributes.append(f'stroke="{stroke.value[1]}" stroke-width="{thickness:g}"')
    return " ".join((f'class="{" ".join(names)}"', *attributes))


def _dashes(dashed: bool) -> str:
    return ' stroke-dasharray="6 4"' if dashed else ""
