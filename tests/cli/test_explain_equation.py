"""`unrolled explain` at its first stage: the equation, the drawing, the worked example."""

import json
import re

import pytest

from unrolled import cells, equations

OWN = """
import torch

V, W = torch.randn(8, 3), torch.randn(8, 8)

def step(x, h):
    h = torch.tanh(x @ V.T + h @ W.T)
    return h, h

def pair(x, state):
    h, c = state
    return h, (h, c)

class Made(torch.nn.Module):
    pass
"""


def test_elman(main):
    code, shown, errors = main("explain", "elman")
    assert (code, errors) == (0, "")
    assert shown.splitlines()[:3] == [
        "Elman(input_size=3, hidden_size=8)",
        "",
        "  h(t) = tanh(W_xh x(t) + W_hh h(t-1) + b_h)",
    ]
    assert re.search(r"^  W_xh +weight_ih +\(H, I\)$", shown, re.MULTILINE)
    assert "h(0) -->| step |--h-->| step |" in shown
    assert "--stage plan" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_every_cell_has_a_page(main):
    for name in ("LSTM", "GRU", "GeneralRNN", "LTC", "SLSTM"):
        code, shown, errors = main("explain", name, "--input-size", 2, "--hidden-size", 4)
        assert (code, errors) == (0, "")
        for line in equations(getattr(cells, name)(2, 4)).lines:
            assert line.text in " ".join(shown.split())
        assert all(len(line) <= 80 for line in shown.splitlines())


def test_notation_latex_and_json(main):
    assert "  s(t) = tanh(W_xs x(t) + W_ss s(t-1) + b_s)\n" in main("explain", "elman", "--notation", "state")[1]
    assert main("explain", "elman", "--latex")[1] == f"{equations(cells.Elman(3, 8)).latex}\n"
    found = json.loads(main("explain", "elman", "--json")[1])
    assert found == equations(cells.Elman(3, 8)).to_dict()
    assert found["lines"][0]["text"] == "h(t) = tanh(W_xh x(t) + W_hh h(t-1) + b_h)"


@pytest.mark.parametrize(("ending", "begin"), [(".svg", "<svg"), (".mmd", "flowchart"), (".tex", "\\documentclass")])
def test_files(main, tmp_path, ending, begin):
    path = tmp_path / f"elman{ending}"
    code, shown, _ = main("explain", "elman", "--output", path)
    assert (code, shown) == (0, f"Written to {path}.\n")
    assert path.read_text(encoding="utf-8").startswith(begin)


def test_numbers(main):
    code, shown, errors = main("explain", "elman", "--numbers")
    assert (code, errors) == (0, "")
    assert re.search(r"^  3 +3 +1.85541 +0.95225 +0.58090$", shown, re.MULTILINE)
    shown = main("explain", "elman", "--numbers", "--set", "W_hh=0", "--inputs", "1,2")[1]
    assert "W_hh = 0," in shown
    assert "L = y(1) + y(2)\n" in shown
    data = json.loads(main("explain", "LSTM", "--numbers", "--json")[1])
    assert len(data["steps"]) == 3


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return "own.py"


def test_a_step_of_ones_own(main, own):
    code, shown, errors = main("explain", f"{own}:step")
    assert (code, errors) == (0, "")
    assert "  h(t) = tanh(V x(t) + W h(t-1))\n" in shown
    assert "unrolled.explain(step, x, state) in Python" in shown


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["elman", "--notation", "greek"], "notation: expected one of elman, .*, got 'greek'"),
        (2, ["elman", "--output", "elman.png"], "--output: expected a name that ends in .svg, .mmd, .tex, got"),
        (2, ["elman", "--stage", "plan", "--latex"], "--latex, --output: expected --stage equation with them"),
        (2, ["elman", "--inputs", "1,2"], "--set, --inputs: expected --numbers with them"),
        (2, ["elman", "--numbers", "--inputs", "1,x"], "--inputs: expected a number, got 'x'"),
        (2, ["elman", "--numbers", "--set", "W_hh"], "--set: expected a symbol and a number, such as W_hh=0.3"),
        (2, ["elman", "--numbers", "--set", "Q=1"], "values: expected symbols among W_xh, .*, got Q"),
        (2, ["own.py:pair"], r"own.py:pair: as a step .* it failed: .* call unrolled.equations\(step, x, state\)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(main, own, code, arguments, message):
    found, shown, errors = main("explain", *arguments)
    assert re.search(message, errors), errors
    assert (found, shown) == (code, "")
    assert errors.count("\n") == 1
