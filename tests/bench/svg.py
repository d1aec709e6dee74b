"""A plot as an SVG, drawn by hand: panels side by side, one line each, from zero."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 300, 220, 46
_STYLE = "font-family:sans-serif;font-size:11px"
_INK, _LINE, _GRID = "#222", "#1f6feb", "#ddd"


@dataclass(frozen=True, slots=True)
class Panel:
    """A line of the chart: a value at each label."""

    title: str
    labels: Sequence[str]
    values: Sequence[float]


def plot(panels: Sequence[Panel], *, what: str) -> str:
    """The panels, all on one scale; ``what`` says what is higher up."""
    top = max(value for panel in panels for value in panel.values) * 1.1 or 1.0
    width, height = WIDTH * len(panels), HEIGHT + 24
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{_STYLE}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(width / 2, 16, what, "middle"),
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({WIDTH * number} 20)">')
        parts += _panel(panel, top)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float) -> Iterator[str]:
    bottom, right = HEIGHT - MARGIN, WIDTH - MARGIN / 2
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - MARGIN / 2)
        yield f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{_GRID}"/>'
        yield _text(MARGIN - 6, y + 4, f"{share * top:.3g}", "end")
    step = (right - MARGIN) / max(1, len(panel.values))
    points = []
    for index, (label, value) in enumerate(zip(panel.labels, panel.values, strict=True)):
        x = MARGIN + step * (index + 0.5)
        y = bottom - value / top * (bottom - MARGIN / 2)
        points.append(f"{x:.1f},{y:.1f}")
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_LINE}"/>'
        yield _text(x, y - 7, f"{value:.3g}", "middle")
        yield _text(x, bottom + 16, label, "middle")
    yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{_LINE}"/>'
    yield _text((MARGIN + right) / 2, HEIGHT - 10, panel.title, "middle")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{escape(text)}</text>'
    )
