"""The drawing as SVG, written as text."""

from .paper import Drawing
from .scene import SHOWN, Network

BOX_WIDTH, LANE, STEP_GAP = 92, 34, 96  # of a box; between the states in it; between two boxes


def svg(net: Network, name: str = "step") -> str:
    """The loop beside the chain.

    Args:
        net: what is drawn.
        name: the title that a reader's program may show.
    """
    drawing = Drawing()
    count = len(net.states)
    height = LANE * count + 20
    top, left = 104.0, 30.0 + 26 * count
    _folded(drawing, net, left, top, height)
    start = drawing.right + 60
    _unfolded(drawing, net, start, top, height)
    return drawing.document(name)


def _folded(drawing: Drawing, net: Network, left: float, top: float, height: float) -> None:
    count = len(net.states)
    centre, right, bottom = left + BOX_WIDTH / 2, left + BOX_WIDTH, top + height
    drawing.text(centre, 24, "folded", "title")
    drawing.box(left, top, BOX_WIDTH, height, "step")
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


def _unfolded(drawing: Drawing, net: Network, start: float, top: float, height: float) -> None:
    bottom, count = top + height, len(net.states)
    below = bottom + 22 * count + 30
    left = start + 60
    drawing.text(left + BOX_WIDTH / 2, 24, "unfolded", "title")
    for t in range(1, SHOWN + 1):
        centre, right = left + BOX_WIDTH / 2, left + BOX_WIDTH
        drawing.box(left, top, BOX_WIDTH, height, "step")
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


def _ends(drawing: Drawing, net: Network, centre: float, rows: tuple[float, float, float], time: int | str) -> None:
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
