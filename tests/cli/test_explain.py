"""`unrolled explain`: what it prints, what it refuses, and with which exit code."""

import json
import os
import re
import subprocess
import sys

import pytest

from unrolled import cells, explain
from unrolled.cli.explain import Sizes, cell_names, make
from unrolled.compiler.codegen.prelude import prelude
from unrolled.core import Cell, InputError

OWN = """
import torch
from torch import nn
from unrolled import Cell

class Leaky(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, h):
        h = 0.9 * h + 0.1 * torch.tanh(self.inner(torch.cat([x, h], -1)))
        return h, h

class Mixes(Leaky):
    def step(self, x, h):
        return h, h + x.sum()  # mixes

class Running(Leaky):
    def step(self, x, h):
        h = h.cumsum(-1) + x
        return h, h  # running

class Fails(Leaky):
    def step(self, x, h):
        return h, [][1]

class NoState(Leaky):
    def initial_state(self, batch_size):
        raise KeyError("none")

class One(Leaky):
    def step(self, x, h):
        return h

class Three(Cell):
    def __init__(self, a, b, c):
        super().__init__()

class Plain:
    def __init__(self, input_size, hidden_size):
        pass

def function(a, b):
    return 3

number = 3
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return "own.py"


@pytest.mark.parametrize("stage", ["graph", "plan", "source"])
def test_it_prints_what_explain_says(main, stage):
    code, shown, errors = main("explain", "lstm", "--stage", stage, "--input-size", 3, "--hidden-size", 5)
    assert (code, errors) == (0, "")
    assert shown == f"{explain(cells.LSTM(3, 5), stage=stage)}\n"
    assert shown.isascii()
    assert "\x1b" not in shown


def test_the_defaults(main):
    assert main("explain", "Elman", "--stage", "plan")[1] == f"{explain(cells.Elman(128, 128))}\n"


def test_the_options_reach_the_page(main):
    arguments = ("--input-size", 3, "--hidden-size", 5, "--steps", 7, "--batch-size", 2)
    assert "for T = 7, B = 2\n" in main("explain", "GRU", "--stage", "plan", *arguments)[1]
    for dtype in ("float64", "bfloat16"):
        shown = main("explain", "GRU", "--stage", "graph", "--dtype", dtype, *arguments)[1]
        assert f"x  [B, 3]  {dtype}\n" in shown
        assert f"weight_hh  [15, 5]  {dtype}\n" in shown
    shown = main("explain", "GRU", "--stage", "plan", "--no-backward", *arguments)[1]
    assert shown == f"{explain(cells.GRU(3, 5), backward=False, steps=7, batch_size=2)}\n"


@pytest.mark.parametrize("given", ["LSTM", "lstm", "Lstm", "output-feedback", "OutputFeedback", "outputfeedback"])
def test_any_case_and_the_names_of_the_text_task(main, given):
    kind = "LSTM" if given.casefold() == "lstm" else "OutputFeedback"
    code, shown, _ = main("explain", given, "--stage", "graph", "--input-size", 2)
    assert code == 0
    assert shown.startswith(f"{kind}(input_size=2")


@pytest.mark.parametrize("given", ["general", "GeneralRNN", "generalrnn"])
def test_the_two_names_of_one_cell(main, given):
    assert main("explain", given, "--stage", "graph")[1].startswith("GeneralRNN(")


def test_every_name_is_that_of_a_cell(main):
    assert {"Elman", "GRU", "GeneralRNN", "Jordan", "LSTM", "OutputFeedback"} <= set(cell_names())
    assert all(issubclass(getattr(cells, name), Cell) for name in cell_names())
    assert len({name.casefold() for name in cell_names()}) == len(cell_names())


def test_json_says_the_same(main):
    shown = main("explain", "elman", "--stage", "plan", "--json", "--input-size", 3, "--hidden-size", 5)[1]
    assert json.loads(shown) == explain(cells.Elman(3, 5)).to_dict()
    source = json.loads(main("explain", "elman", "--json", "--stage", "source", "--input-size", 3)[1])
    assert source["prelude_lines"] == prelude().count("\n")
    assert "u_forward" in source["text"]


def test_a_cell_of_ones_own(main, own):
    arguments = ("--stage", "plan", "--input-size", 3, "--hidden-size", 5)
    code, shown, errors = main("explain", f"{own}:Leaky", *arguments)
    assert (code, errors) == (0, "")
    assert shown.startswith("Leaky(hidden_size=5): how a sequence is run\n")
    assert "own.py:13" in shown
    assert "inner.weight (packed)" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_source_of_ones_own_is_nothing_but_c(main, own):
    code, shown, errors = main("explain", f"{own}:Leaky", "--stage", "source")
    assert (code, errors) == (0, "")
    assert shown.startswith("/* Leaky(")
    assert shown.count("void u_forward(const long") == 1
    assert prelude() not in shown
    whole = main("explain", f"{own}:Leaky", "--stage", "source", "--whole")[1]
    assert prelude() in whole
    assert shown.partition("*/")[2].strip() in whole


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["perceptron"], r"CELL: expected one of .*Elman, .*GRU.*, or path.py:ClassName of your own, got 'percept"),
        (2, ["LSTMState"], "CELL: expected one of"),
        (2, ["own.py"], "CELL: expected one of .* got 'own.py'"),
        (2, ["own.txt:Leaky"], "CELL: expected path.py:ClassName, got 'own.txt:Leaky'"),
        (2, ["own.py:"], "CELL: expected path.py:ClassName, got 'own.py:'"),
        (2, [":Leaky"], "CELL: expected path.py:ClassName, got ':Leaky'"),
        (1, ["gone.py:Leaky"], "CELL gone.py:Leaky: there is no file .*gone.py"),
        (1, ["own.py:Gone"], "own.py defines no Gone"),
        (1, ["own.py:number"], "expected number to be a class, got int"),
        (1, ["broken.py:A"], "CELL: .*broken.py:1: the file does not run: SyntaxError"),
        (1, ["own.py:Three"], r"CELL: .*own.py.*Three\(3, 8\) failed: .*called with \(input_size, hidden_size\)"),
        (2, ["own.py:Plain"], "CELL: expected Plain to be a class of modules"),
        (2, ["own.py:function"], "CELL: expected function to be a class of modules"),
        (1, ["own.py:Fails"], r"CELL: .*own.py:27: its first step failed: IndexError"),
        (1, ["own.py:NoState"], r"CELL: .*own.py:31: .*KeyError"),
        (1, ["own.py:One"], r"CELL: .*own.py: .*\(output, state\)"),
        (1, ["own.py:Mixes"], r"own.py:\d+ mixes the rows.* With backend='auto' the reference runs it"),
        (
            1,
            ["own.py:Running", "--stage", "plan"],
            r"no kernel has .*cumsum.*own.py:\d+.* With backend='auto' the reference runs it",
        ),
        (2, ["LSTM", "--stage", "assembly"], "--stage: expected one of equation, graph, plan, source, got 'assembly'"),
        (2, ["LSTM", "--dtype", "float16"], "--dtype: expected one of float32, float64, bfloat16, got 'float16'"),
        (2, ["LSTM", "--whole"], "--whole: expected --stage source with it, got --stage equation"),
        (2, ["LSTM", "--hidden-size", "0"], "--hidden-size"),
        (2, ["LSTM", "--input-size", "many"], "--input-size"),
        (2, ["LSTM", "--steps", "0"], "--steps"),
        (2, ["LSTM", "--batch-size", "-1"], "--batch-size"),
        (2, ["LSTM", "GRU"], "unexpected extra argument"),
        (2, [], "Missing argument"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(main, own, tmp_path, code, arguments, message):
    (tmp_path / "broken.py").write_text("class A(:\n")
    found, shown, errors = main("explain", *arguments)
    assert re.search(message, errors), errors
    assert found == code
    assert shown == ""
    assert errors.startswith("unrolled: ")
    assert errors.count("\n") == 1
    assert "--cell" not in errors
    assert "please report" not in errors


def test_the_graph_of_a_cell_without_c(main, own):
    code, shown, _ = main("explain", f"{own}:Running", "--stage", "graph", "--no-backward")
    assert code == 0
    assert "cumsum(state, -1)" in shown


def test_constructors():
    class OnlyHidden(Cell):
        def __init__(self, hidden_size, *more, bias=True):
            super().__init__()
            self.hidden_size = hidden_size

    class Needs(Cell):
        def __init__(self, input_size, hidden_size, heads, ratio, bias=True):
            super().__init__()

    made = make(OnlyHidden, Sizes(None, 7))
    assert made.hidden_size == 7
    assert make(OnlyHidden, Sizes(None, None)).hidden_size == 128
    with pytest.raises(InputError, match="--input-size: expected none, since OnlyHidden has no input_size, got 3"):
        make(OnlyHidden, Sizes(3, 7))
    with pytest.raises(InputError, match="got Needs, which needs heads, ratio too; make it in Python"):
        make(Needs, Sizes(3, 7))


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "unrolled", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_help_does_not_load_torch_and_fits_eighty_columns():
    code = "import sys\nfrom unrolled.cli import main\n"
    code += "assert main(['explain', '--help']) == 0\n"
    code += "assert main(['explain', 'LSTM', '--stage', 'x']) == 2\n"
    code += "assert main(['explain', 'LSTM', '--whole']) == 2\n"
    code += "heavy = {'torch', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert len([line for line in lines if line.startswith("unrolled explain")]) == 5


def test_completion():
    def completed(*words):
        variables = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        return run(_UNROLLED_COMPLETE="complete_bash", **variables).stdout.split()

    assert completed("unrolled", "expl") == ["explain"]
    assert completed("unrolled", "explain", "G") == ["GRU", "GeneralRNN"]
    assert completed("unrolled", "explain", "LSTM", "--stage", "") == ["equation", "graph", "plan", "source"]
    assert completed("unrolled", "explain", "LSTM", "--dtype", "b") == ["bfloat16"]


def test_a_reader_that_goes_away_and_a_terminal_that_knows_only_ascii(tmp_path):
    command = f"{sys.executable} -m unrolled explain LSTM --stage source | head -1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("/* LSTM(")
    assert ended.stderr == ""
    assert "?" not in run("explain", "elman", "--stage", "graph", PYTHONIOENCODING="ascii").stdout
