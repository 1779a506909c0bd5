"""The pictures of docs/shapes.md: ``python docs/pictures/make.py`` writes them beside this file.

Time goes to the right and values go up. Beside each arrow that carries a gradient stands a dashed one, the way back.
"""

from pathlib import Path

from unrolled.inspection.drawing.paper import Drawing

FOLDER = Path(__file__).parent
BACK = "#b3372f"
STYLE = f"""
  .example {{ font: italic 13px Georgia, 'Times New Roman', serif; fill: #57606a; }}
  .back {{ stroke: {BACK}; stroke-dasharray: 5 3; }}
  .given {{ stroke: #57606a; stroke-dasharray: 2 3; }}
  .decoder {{ fill: #fdf3e3; stroke: #9a6700; }}
  .whole {{ fill: #eef7ee; stroke: #2f7d3b; }}
"""
INKS = {"back": BACK, "given": "#57606a"}
WIDE, TALL, APART = 62, 40, 118  # of a step's box; from one step to the next
ASIDE = 10  # from an arrow to the gradient's


class Sketch:
    """A drawing of steps in columns."""

    def __init__(self, top: float, left: float = 70.0):
        self.drawing = Drawing(STYLE, dict(INKS))
        self.top, self.left = top, left  # of the first step's box

    def centre(self, t: int) -> float:
        """Of the column of step t, from 1."""
        return self.left + WIDE / 2 + (t - 1) * APART

    def arrow(self, start: tuple[float, float], end: tuple[float, float], *, back: bool = True) -> None:
        """A value's way, and beside it the gradient's."""
        self.drawing.edge(start, end)
        if back:
            upright = start[0] == end[0]
            aside, along = (ASIDE, 0) if upright else (0, ASIDE)
            self.drawing.edge((end[0] + aside, end[1] + along), (start[0] + aside, start[1] + along), kind="back")

    def value(self, x: float, y: float, label: str, example: str = "") -> None:
        """A name, and under it what it is in the example."""
        self.drawing.text(x, y, label)
        if example:
            self.drawing.text(x, y + 18, example, "example")

    def step(self, t: int, label: str, kind: str = "") -> None:
        """The cell at step t."""
        self.drawing.box(self.centre(t) - WIDE / 2, self.top, WIDE, TALL, label, kind)

    def state(self, t: int) -> None:
        """From step t to the next."""
        y = self.top + TALL / 2 - 5
        self.arrow((self.centre(t) + WIDE / 2, y), (self.centre(t + 1) - WIDE / 2, y))

    def read(self, t: int, label: str, example: str, *, back: bool = True) -> None:
        """What goes into step t from below."""
        x, bottom = self.centre(t), self.top + TALL
        self.arrow((x, bottom + 42), (x, bottom), back=back)
        self.value(x, bottom + 60, label, example)

    def chain(self, count: int, name: str, examples: list[str]) -> None:
        """So many steps, each with an input, and the state from one to the next."""
        for t in range(1, count + 1):
            self.step(t, f"{name}({t})")
            self.read(t, f"x({t})", examples[t - 1])
            if t < count:
                self.state(t)

    def finish(self, title: str, *, fed_back: bool = False) -> str:
        """The text of the SVG, with what its kinds of arrows mean."""
        y = self.drawing.bottom + 26
        self.drawing.edge((20, y), (56, y))
        self.drawing.text(64, y + 4, "values", "title", "start")
        self.drawing.edge((166, y), (130, y), kind="back")
        self.drawing.text(174, y + 4, "gradients", "title", "start")
        if fed_back:
            self.drawing.edge((260, y), (296, y), kind="given")
            self.drawing.text(304, y + 4, "in use: a choice, without a gradient", "title", "start")
        return self.drawing.document(title)


def sequence_to_sequence() -> str:
    """An answer at each step."""
    sketch = Sketch(top=92)
    sketch.chain(4, "h", ["the", "cat", "sleeps", "."])
    for t, tag in enumerate(["DET", "NOUN", "VERB", "PUNCT"], 1):
        x = sketch.centre(t)
        sketch.arrow((x, sketch.top), (x, sketch.top - 38))
        sketch.value(x, sketch.top - 64, f"o({t})", tag)
    return sketch.finish("Sequence to sequence: an answer at each step")


def sequence_to_vector() -> str:
    """One answer."""
    sketch = Sketch(top=158)
    sketch.chain(4, "h", ["what", "a", "fine", "film"])
    left, right = sketch.centre(1) - WIDE / 2, sketch.centre(4) + WIDE / 2
    bar, middle = sketch.top - 74, (left + right) / 2
    sketch.drawing.box(left, bar, right - left, 34, "p: the last, the mean, the maximum, or attention", "whole")
    for t in range(1, 5):
        sketch.arrow((sketch.centre(t), sketch.top), (sketch.centre(t), bar + 34))
    sketch.arrow((middle, bar), (middle, bar - 32))
    sketch.value(middle, bar - 58, "o", "positive")
    return sketch.finish("Sequence to vector: one answer for the whole")


def vector_to_sequence() -> str:
    """A vector starts the state; what comes out goes in again."""
    sketch = Sketch(top=104, left=150)
    letters = ["begin", "K", "i", "m", "end"]
    y = sketch.top + TALL / 2 - 5
    sketch.value(48, y + 5, "v", "Korean")
    sketch.arrow((78, y), (sketch.centre(1) - WIDE / 2, y))
    sketch.drawing.text(112, y - 8, "W v + b", "title")
    for t in range(1, 5):
        sketch.step(t, f"h({t})", "decoder")
        sketch.read(t, f"x({t})", letters[t - 1])
        x = sketch.centre(t)
        sketch.arrow((x, sketch.top), (x, sketch.top - 38))
        sketch.value(x, sketch.top - 64, f"o({t})", letters[t])
        if t < 4:
            sketch.state(t)
            _fed_back(sketch, t, sketch.top - 66)
    return sketch.finish("Vector to sequence: a sequence from one vector", fed_back=True)


def _fed_back(sketch: Sketch, t: int, y: float) -> None:
    """From the output of step t, at the height y, to the input of the next; a choice, which carries no gradient."""
    x, lane = sketch.centre(t), sketch.centre(t) + APART / 2 - 6
    low = sketch.top + TALL + 56
    sketch.drawing.edge((x + 22, y), (lane, y), (lane, low), (sketch.centre(t + 1) - 22, low), kind="given")


def encoder_decoder() -> str:
    """A sequence read, another made; attention is outside of the loop."""
    sketch = Sketch(top=172, left=40)
    source, target = ["ein", "Hund", "bellt"], ["begin", "a", "dog", "end"]
    sketch.chain(3, "m", source)
    left, right, rail = sketch.centre(1) - WIDE / 2, sketch.centre(6) + WIDE / 2, sketch.top - 72
    sketch.drawing.box(left, rail, right - left, 32, kind="whole")
    sketch.drawing.text(sketch.centre(2), rail + 21, "attention to m(1), m(2), m(3)")
    for t in range(1, 4):
        sketch.arrow((sketch.centre(t), sketch.top), (sketch.centre(t), rail + 32))
    sketch.state(3)
    sketch.drawing.text(sketch.centre(3) + APART / 2, sketch.top + TALL / 2 - 12, "W v", "title")
    for k in range(1, 4):
        t, x = 3 + k, sketch.centre(3 + k)
        sketch.step(t, f"h({k})", "decoder")
        sketch.read(t, f"y({k - 1})", target[k - 1])
        sketch.arrow((x, sketch.top), (x, rail + 32))
        sketch.drawing.text(x, rail + 21, f"c({k})")
        sketch.arrow((x, rail), (x, rail - 34))
        sketch.value(x, rail - 60, f"o({k})", target[k])
        if k < 3:
            sketch.state(t)
            _fed_back(sketch, t, rail - 62)
    return sketch.finish("Encoder and decoder: a sequence from a sequence", fed_back=True)


def ctc() -> str:
    """Frames, symbols and blanks, and the symbols that are left."""
    sketch = Sketch(top=206, left=40)
    sketch.chain(6, "h", ["frame"] * 6)
    bar = sketch.top - 142
    for t, symbol in enumerate("cc-att", 1):
        x = sketch.centre(t)
        sketch.arrow((x, sketch.top), (x, sketch.top - 36))
        sketch.value(x, sketch.top - 62, f"o({t})", symbol if symbol != "-" else "blank")
        sketch.arrow((x, sketch.top - 78), (x, bar + 32))
    left, right = sketch.centre(1) - WIDE / 2, sketch.centre(6) + WIDE / 2
    meaning = "equal neighbours made one, blanks taken out; all such paths summed"
    sketch.drawing.box(left, bar, right - left, 32, meaning, "whole")
    for symbol, at in (("c", 1.5), ("a", 4), ("t", 5.5)):
        x = sketch.left + WIDE / 2 + (at - 1) * APART
        sketch.arrow((x, bar), (x, bar - 32))
        sketch.value(x, bar - 42, symbol)
    return sketch.finish("CTC: fewer symbols than frames, in the same order")


PICTURES = {
    "sequence-to-sequence": sequence_to_sequence,
    "sequence-to-vector": sequence_to_vector,
    "vector-to-sequence": vector_to_sequence,
    "encoder-decoder": encoder_decoder,
    "ctc": ctc,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")
