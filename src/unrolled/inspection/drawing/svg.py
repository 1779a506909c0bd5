"""The drawing as SVG, written as text."""

from dataclasses import dataclass, field
from html import escape

from .scene import SHOWN, Network

BOX_WIDTH, LANE, STEP_GAP = 92, 34, 96  # of a box; between the states in it; between two boxes
STYLE = """
  text { font: 16px Georgia, 'Times New Roman', serif; fill: #1b1f24; }
  .title { font: 13px sans-serif; fill: #57606a; }
  .weight { font-size: 13px; fill: #57606a; }
  .edge { fill: none; stroke: #1b1f24; stroke-width: 1.5; }
  .box { fill: #eef4fb; stroke: #1f5fa8; stroke-width: 1.5; }
"""


@dataclass
class _Drawing:
    """Elements, and how far they reach."""

    parts: list[str] = field(default_factory=list)
    right: float = 0.0
    bottom: float = 0.0

    def text(self, x: float, y: float, label: str, kind: str = "", anchor: str = "middle") -> None:
        """A label whose middle (or start, or end) is at x, on the line y."""
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{_label(label)}</text>')
        wide = 8.5 * len(label)
        self.reach(x + {"start": wide, "middle": wide / 2, "end": 0}[anchor], y + 8)

    def edge(self, *points: tuple[float, float]) -> None:
        """A line with an arrow at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<polyline class="edge" marker-end="url(#arrow)" points="{path}"/>')
        for x, y in points:
            self.reach(x, y)

    def box(self, x: float, y: float, height: float, label: str) -> None:
        """A step."""
        self.parts.append(f'<rect class="box" x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{height:g}" rx="6"/>')
        self.text(x + BOX_WIDTH / 2, y + height / 2 + 5, label)
        self.reach(x + BOX_WIDTH, y + height)

    def reach(self, x: float, y: float) -> None:
        """Make room."""
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)


def svg(net: Network, name: str = "step") -> str:
    """The loop beside the chain.

    Args:
        net: what is drawn.
        name: the title that a reader's program may show.
    """
    drawing = _Drawing()
    count = len(net.states)
    height = LANE * count + 20
    top, left = 104.0, 30.0 + 26 * count
    _folded(drawing, net, left, top, height)
    start = drawing.right + 60
    _unfolded(drawing, net, start, top, height)
    width, tall = drawing.right + 20, drawing.bottom + 16
    arrow = (
        '<marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="#1b1f24"/></marker>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {tall:g}" width="{width:g}" role="img">'
    body = [head, f"<title>{escape(name)}</title>", f"<style>{STYLE}</style>", f"<defs>{arrow}</defs>"]
    body.append('<rect width="100%" height="100%" fill="white"/>')
    return "\n".join([*body, *drawing.parts, "</svg>"]) + "\n"


def _folded(drawing: _Drawing, net: Network, left: float, top: float, height: float) -> None:
    count = len(net.states)
    centre, right, bottom = left + BOX_WIDTH / 2, left + BOX_WIDTH, top + height
    drawing.text(centre, 24, "folded", "title")
    drawing.box(left, top, height, "step")
    below = bottom + 22 * count + 30
    _ends(drawing, net, centre, (top, bottom, below), net.clock)
    for k, name in enumerate(net.states):
        row, away, lower = top + 10 + LANE * (k + 0.5), 22 * (count - k), bottom + 22 * (count - k)
        drawing.edge(
            (right, row),
            (right + away, row),
            (right + away, lower),
            (left - away, lower),
            (left - away, row),
            (left, row),
        )
        drawing.text(right + 22 * count + 10, row + 5, f"{name}({net.clock})", anchor="start")
    if count == 1 and "state" in net.weights:
        drawing.text(left - 14, bottom + 38, net.weights["state"], "weight")


def _unfolded(drawing: _Drawing, net: Network, start: float, top: float, height: float) -> None:
    bottom, count = top + height, len(net.states)
    below = bottom + 22 * count + 30
    left = start + 60
    drawing.text(left + BOX_WIDTH / 2, 24, "unfolded", "title")
    for t in range(1, SHOWN + 1):
        centre, right = left + BOX_WIDTH / 2, left + BOX_WIDTH
        drawing.box(left, top, height, "step")
        _ends(drawing, net, centre, (top, bottom, below), t)
        for k, name in enumerate(net.states):
            row = top + 10 + LANE * (k + 0.5)
            if t == 1:
                drawing.text(left - 44, row + 5, f"{name}(0)", anchor="end")
                drawing.edge((left - 38, row), (left, row))
            ahead = STEP_GAP if t < SHOWN else 38
            drawing.edge((right, row), (right + ahead, row))
            if t < SHOWN:
                drawing.text(right + ahead / 2, row - 6, f"{name}({t})")
            else:
                drawing.text(right + ahead + 8, row + 5, f"{name}({t})", anchor="start")
            if count == 1 and t < SHOWN and "state" in net.weights:
                drawing.text(right + ahead / 2, row + 18, net.weights["state"], "weight")
        left += BOX_WIDTH + STEP_GAP


def _ends(drawing: _Drawing, net: Network, centre: float, rows: tuple[float, float, float], time: int | str) -> None:
    """What goes into a box from below and comes out above."""
    top, bottom, below = rows
    drawing.edge((centre, top), (centre, top - 36))
    drawing.text(centre, top - 44, net.label(net.outputs, time))
    if "output" in net.weights:
        drawing.text(centre + 8, top - 12, net.weights["output"], "weight", "start")
    if net.inputs:
        drawing.edge((centre, below), (centre, bottom))
        drawing.text(centre, below + 20, net.label(net.inputs, time))
        if "x" in net.weights:
            drawing.text(centre + 8, below - 8, net.weights["x"], "weight", "start")


def _label(name: str) -> str:
    """A name with its subscript set low: ``W_xh``."""
    parts = []
    for word in name.split(", "):
        head, bar, tail = word.partition("_")
        sub, bracket, rest = tail.partition("(")
        low = f'<tspan dy="4" font-size="75%">{escape(sub)}</tspan><tspan dy="-4">{escape(bracket + rest)}</tspan>'
        parts.append(escape(head) + (low if bar else ""))
    return ", ".join(parts)
