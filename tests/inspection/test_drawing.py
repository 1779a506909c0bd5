"""The loop beside the chain: for the terminal, as SVG, as Mermaid."""

import re
from xml.etree import ElementTree

import pytest
import torch

from unrolled import equations
from unrolled.cells import LSTM, Elman, Jordan, OutputFeedback
from unrolled.inspection.drawing import mermaid, network, svg, terminal

ELMAN = """\
    folded                        unfolded
      y(t)                          y(1)          y(2)          y(3)
       ^                             ^             ^             ^
       | W_hy                        | W_hy        | W_hy        | W_hy
    +------+                      +------+      +------+      +------+
+-->| step |---+ h(t)     h(0) -->| step |--h-->| step |--h-->| step |--> h(3)
|   +------+   |                  +------+ W_hh +------+ W_hh +------+
| W_hh ^ W_xh  |                     ^             ^             ^
|      |       |                     | W_xh        | W_xh        | W_xh
+------|-------+                    x(1)          x(2)          x(3)
      x(t)"""


def test_elman():
    assert terminal(network(equations(Elman(2, 3, 4)))) == ELMAN


@pytest.mark.parametrize("cell", [LSTM(2, 3), Jordan(2, 3, 4), OutputFeedback(2)])
def test_what_is_fed_back_is_what_the_loop_carries(cell):
    found = equations(cell)
    drawn = terminal(network(found))
    assert all(len(line) <= 80 for line in drawn.splitlines())
    for symbol in found.states:
        assert f"{symbol.name}(0) -->" in drawn
        assert re.search(rf"--> {symbol.name}\([23]\)$", drawn, re.MULTILINE)
        assert f"{symbol.name}(t)" in drawn


def no_input(_, s):
    a, b, c = s
    return (a, b), (a + b, b * c, a - c)


def test_many_states_no_input_and_two_outputs():
    found = equations(no_input, None, (torch.zeros(1, 2),) * 3)
    drawn = terminal(network(found))
    assert all(len(line) <= 80 for line in drawn.splitlines())
    assert "x(" not in drawn
    for name in "abc":
        assert f"{name}(0) -->" in drawn


@pytest.mark.parametrize("cell", [Elman(2, 3, 4), LSTM(2, 3)])
def test_svg(cell):
    found = equations(cell)
    text = svg(network(found), found.name)
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    labels = ["".join(label.itertext()) for label in root.iter(f"{space}text")]
    for expected in ("folded", "unfolded", "x(t)", "x(3)", "h(0)", "h(3)"):
        assert expected in labels
    assert labels.count("step") == 4
    wide, high = map(float, root.get("viewBox").split()[2:])
    for line in root.iter(f"{space}polyline"):
        for x, y in (map(float, point.split(",")) for point in line.get("points").split()):
            assert 0 <= x <= wide
            assert 0 <= y <= high
    assert text == svg(network(equations(cell)), found.name)  # the same bytes again


def test_mermaid():
    lines = mermaid(network(equations(Elman(2, 3, 4)))).splitlines()
    assert lines[0] == "flowchart LR"
    assert '    f -->|"h"| f' in lines
    assert '    u1 -->|"h"| u2' in lines
    assert sum(line.strip() == "end" for line in lines) == sum(line.strip().startswith("subgraph") for line in lines)
