"""The drawing in signs of a terminal."""

from .scene import SHOWN, Network

BOX = "step"
WIDE = len(BOX) + 4  # of a box with its frame
ROOM = 80


class _Canvas:
    """Letters at places; rows and columns from 0."""

    def __init__(self) -> None:
        self.letters: dict[tuple[int, int], str] = {}

    def put(self, row: int, column: int, text: str) -> None:
        for k, letter in enumerate(text):
            self.letters[row, column + k] = letter

    def centred(self, row: int, column: int, text: str) -> None:
        self.put(row, max(0, column - (len(text) - 1) // 2), text)

    def across(self, row: int, first: int, last: int) -> None:
        for column in range(first, last + 1):
            self.letters.setdefault((row, column), "-")

    def down(self, column: int, first: int, last: int) -> None:
        for row in range(first, last + 1):
            self.letters[row, column] = "|"

    def box(self, row: int, column: int, inner: int) -> None:
        edge = "+" + "-" * (WIDE - 2) + "+"
        self.put(row, column, edge)
        for k in range(inner):
            text = BOX if k == (inner - 1) // 2 else ""
            self.put(row + 1 + k, column, f"|{text:^{WIDE - 2}}|")
        self.put(row + inner + 1, column, edge)

    @property
    def lines(self) -> list[str]:
        height = max(row for row, _ in self.letters) + 1
        width = max(column for _, column in self.letters) + 1
        return ["".join(self.letters.get((r, c), " ") for c in range(width)).rstrip() for r in range(height)]


def terminal(net: Network) -> str:
    """The loop and the chain side by side in at most 80 columns, or one above the other."""
    folded = _folded(net)
    left = max(map(len, folded)) + 4
    for steps in (SHOWN, SHOWN - 1):
        unfolded = _unfolded(net, steps)
        if left + max(map(len, unfolded)) <= ROOM:
            break
    else:
        return "\n".join([*folded, "", *_unfolded(net, SHOWN - 1)])
    height = max(len(folded), len(unfolded))
    pairs = zip(*(lines + [""] * (height - len(lines)) for lines in (folded, unfolded)), strict=True)
    return "\n".join(f"{a:<{left}}{b}".rstrip() for a, b in pairs)


def _folded(net: Network) -> list[str]:
    canvas, count = _Canvas(), len(net.states)
    left = 2 * count + 2  # of the box
    centre, top = left + WIDE // 2 - 1, 4
    bottom = top + count + 1
    canvas.put(0, left, "folded")
    _output(canvas, net, centre, net.clock)
    canvas.box(top, left, count)
    below = bottom + 2 + count  # the row of x(t)
    if net.inputs:
        canvas.down(centre, bottom + 2, below)
        canvas.put(bottom + 1, centre, "^")
        canvas.centred(below + 1, centre, net.label(net.inputs, net.clock))
        if "x" in net.weights:
            canvas.put(bottom + 1, centre + 2, net.weights["x"])
    for k, name in enumerate(net.states):
        row, right, lower = top + 1 + k, left + WIDE + 1 + 2 * (count - k), bottom + 1 + count - k
        canvas.across(row, left + WIDE, right)
        canvas.put(row, right, "+")
        canvas.down(right, row + 1, lower)
        canvas.put(row, 2 * k, "+" + "-" * (left - 2 * k - 2) + ">")
        canvas.down(2 * k, row + 1, lower)
        canvas.put(lower + 1, 2 * k, "+")
        canvas.across(lower + 1, 2 * k + 1, right - 1)
        canvas.put(lower + 1, right, "+")
        canvas.put(row, left + WIDE + 2 * count + 3, f"{name}({net.clock})")
    weight = net.weights.get("state", "")
    if count == 1 and 0 < len(weight) <= centre - 3:
        canvas.put(bottom + 1, 2, weight)
    return canvas.lines


def _output(canvas: _Canvas, net: Network, centre: int, time: int | str) -> None:
    canvas.centred(1, centre, net.label(net.outputs, time))
    canvas.put(2, centre, "^")
    canvas.put(3, centre, "|" + (f" {net.weights['output']}" if "output" in net.weights else ""))


def _unfolded(net: Network, steps: int) -> list[str]:
    canvas, count = _Canvas(), len(net.states)
    first = max(len(f"{name}(0)") for name in net.states)
    gap = max(6, *(len(name) + 5 for name in net.states))
    top = 4
    bottom = top + count + 1
    left = first + 5
    canvas.put(0, left, "unfolded")
    for t in range(1, steps + 1):
        centre = left + WIDE // 2 - 1
        _output(canvas, net, centre, t)
        canvas.box(top, left, count)
        if net.inputs:
            canvas.put(bottom + 1, centre, "^")
            canvas.put(bottom + 2, centre, "|" + (f" {net.weights['x']}" if "x" in net.weights else ""))
            canvas.centred(bottom + 3, centre, net.label(net.inputs, t))
        for k, name in enumerate(net.states):
            row = top + 1 + k
            if t == 1:
                canvas.put(row, left - 4 - len(f"{name}(0)"), f"{name}(0)")
                canvas.put(row, left - 3, "-->")
            else:
                side = gap - len(name) - 1
                canvas.put(row, left - gap, "-" * (side // 2) + name + "-" * (side - side // 2) + ">")
            if t == steps:
                canvas.put(row, left + WIDE, f"--> {name}({steps})")
            elif count == 1 and "state" in net.weights and len(net.weights["state"]) <= gap - 2:
                canvas.centred(row + 1, left + WIDE + gap // 2 - 1, net.weights["state"])
        left += WIDE + gap
    return canvas.lines
