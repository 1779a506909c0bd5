"""Lines, boxes and labels on a white sheet, as the text of an SVG."""

from dataclasses import dataclass, field
from html import escape

INK = "#1b1f24"
STYLE = """
  text { font: 16px Georgia, 'Times New Roman', serif; fill: #1b1f24; }
  .title { font: 13px sans-serif; fill: #57606a; }
  .weight { font-size: 13px; fill: #57606a; }
  .edge { fill: none; stroke: #1b1f24; stroke-width: 1.5; }
  .box { fill: #eef4fb; stroke: #1f5fa8; stroke-width: 1.5; }
"""


@dataclass
class Drawing:
    """Elements, and how far they reach.

    Args:
        style: rules of CSS besides the usual ones.
        inks: of kinds of edges, the colour of their arrows.
    """

    style: str = ""
    inks: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    right: float = 0.0
    bottom: float = 0.0

    def text(self, x: float, y: float, label: str, kind: str = "", anchor: str = "middle") -> None:
        """A label whose middle (or start, or end) is at x, on the line y."""
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{_label(label)}</text>')
        wide = 8.5 * len(label)
        self.reach(x + {"start": wide, "middle": wide / 2, "end": 0}[anchor], y + 8)

    def edge(self, *points: tuple[float, float], kind: str = "") -> None:
        """A line with an arrow at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        arrow, classes = (f"arrow-{kind}", f"edge {kind}") if kind else ("arrow", "edge")
        self.parts.append(f'<polyline class="{classes}" marker-end="url(#{arrow})" points="{path}"/>')
        for x, y in points:
            self.reach(x, y)

    def box(self, x: float, y: float, width: float, height: float, label: str = "", kind: str = "") -> None:
        """A box, with a label in it if there is one."""
        classes = f"box {kind}" if kind else "box"
        self.parts.append(f'<rect class="{classes}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>')
        if label:
            self.text(x + width / 2, y + height / 2 + 5, label)
        self.reach(x + width, y + height)

    def reach(self, x: float, y: float) -> None:
        """Make room."""
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)

    def document(self, title: str) -> str:
        """The whole, with the title that a reader's program may show."""
        width, tall = self.right + 20, self.bottom + 16
        arrows = _arrow("arrow", INK) + "".join(_arrow(f"arrow-{kind}", ink) for kind, ink in self.inks.items())
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {tall:g}" width="{width:g}" role="img">'
        body = [
            head,
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}{self.style}</style>",
            f"<defs>{arrows}</defs>",
        ]
        body.append('<rect width="100%" height="100%" fill="white"/>')
        return "\n".join([*body, *self.parts, "</svg>"]) + "\n"


def _arrow(name: str, ink: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{ink}"/></marker>'
    )


def _label(name: str) -> str:
    """A name with its subscript set low: ``W_xh``."""
    parts = []
    for word in name.split(", "):
        head, bar, tail = word.partition("_")
        sub, bracket, rest = tail.partition("(")
        low = f'<tspan dy="4" font-size="75%">{escape(sub)}</tspan><tspan dy="-4">{escape(bracket + rest)}</tspan>'
        parts.append(escape(head) + (low if bar else ""))
    return ", ".join(parts)
