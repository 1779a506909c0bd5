"""`unrolled bench`: what it prints and writes, what it refuses, and with which exit code."""

import json
import os
import re
import subprocess
import sys

import pytest

from unrolled.bench import peak
from unrolled.bench.results import FORMAT
from unrolled.cli import bench

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

class Fails(Leaky):
    def step(self, x, h):
        return h, [][1]

class Plain:
    def __init__(self, input_size, hidden_size):
        pass
"""


@pytest.fixture(autouse=True)
def one_try(monkeypatch):
    monkeypatch.setattr("unrolled.bench.peak.TRIES", 1)


TINY = ("--shape", "4x2x4", "--shape", "3x1x4", "--seconds", "0")


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return "own.py"


def test_a_table_a_file_and_a_picture(main, tmp_path):
    pytest.importorskip("matplotlib")
    code, shown, errors = main("bench", "--only", "gru", *TINY, "--json", "f.json", "--plot", "p.svg")
    assert code == 0, errors
    assert re.search(r"^GRU, training\n  shape +unrolled +torch.nn.GRU\n  4x2x4 ", shown, re.MULTILINE)
    assert re.search(r"measured peak, float32: \d+ GFLOP/s of one thread, \d+ of all", shown)
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown + errors
    assert errors.startswith("4 comparisons; Ctrl-C ends it")
    found = json.loads((tmp_path / "f.json").read_text())
    assert (found["format"], found["complete"], len(found["rows"]) >= 4) == (FORMAT, True, True)
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")


def test_json_on_standard_output_is_all_there_is(main):
    code, shown, _ = main("bench", "--only", "rnn", *TINY, "--json", "-", "--threads", 1)
    assert code == 0
    found = json.loads(shown)
    assert found["threads"]["torch"] == 1
    assert {row["group"] for row in found["rows"]} == {"rnn"}


def test_a_cell_of_ones_own_is_one_more_row(main, own):
    code, shown, errors = main("bench", "--only", "rnn", "--cell", f"{own}:Leaky", *TINY)
    assert code == 0, errors
    assert "RNN, inference\n" in shown
    assert "Leaky (your cell), training\n" in shown
    assert re.search(r"^  Leaky, training +Python loop ", shown, re.MULTILINE)


def test_a_cell_without_a_kernel_is_said_to_have_none(main, own):
    code, shown, _ = main("bench", "--only", "cell", "--cell", f"{own}:Mixes", *TINY[2:])
    assert code == 1
    assert "Could not be compared:" in shown
    assert re.search(r"Mixes training 3x1x4: .*mixes the rows", " ".join(shown.split()))


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["--only", "lstn"], "--only: expected some of lstm, gru, .*, got 'lstn'"),
        (2, ["--only", ","], "--only: expected some of"),
        (2, ["--only", "cell"], "--only: expected --cell path.py:ClassName beside the group cell, got none"),
        (2, ["--shape", "3x4"], "--shape: expected TxBxH, such as 100x16x128, .*, got '3x4'"),
        (2, ["--threads", "0"], "--threads"),
        (2, ["--seconds", "-1"], "--seconds"),
        (2, ["--cell", "perceptron"], "--cell: expected one of .*elman, .* got 'perceptron'"),
        (2, ["--cell", "own.txt:Leaky"], "--cell: expected path.py:ClassName, got 'own.txt:Leaky'"),
        (1, ["--cell", "gone.py:Leaky"], "--cell gone.py:Leaky: there is no file .*gone.py"),
        (1, ["--cell", "own.py:Gone"], "own.py defines no Gone"),
        (1, ["--cell", "own.py:Fails"], r"--cell: .*own.py:\d+: its first step failed: IndexError"),
        (2, ["--cell", "own.py:Plain"], "--cell: expected Plain to be a class of modules"),
        (2, ["--json", "none/f.json"], "--json: expected a file in a folder that exists, got 'none/f.json'"),
        (2, ["--plot", "."], "--plot: expected a file in a folder that exists, got '.'"),
        (2, ["--plot", "ratios.jpg"], "--plot: expected a name that ends in .svg or .png or .pdf, got 'ratios.jpg'"),
        (2, ["LSTM"], "unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_measured(main, own, code, arguments, message):
    found, shown, errors = main("bench", *arguments)
    assert re.search(message, errors), errors
    assert found == code
    assert shown == ""
    assert errors.startswith("unrolled: ")
    assert errors.count("\n") == 1
    assert "please report" not in errors


def test_no_matplotlib_is_said_first(main, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, shown, errors = main("bench", "--plot", "p.svg")
    assert (code, shown) == (1, "")
    assert re.fullmatch(r"unrolled: matplotlib\S* is not installed; pip install 'unrolled\[tasks\]'.\n", errors)


def test_no_compiler_is_said_first(main, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "gone")
    peak._function.cache_clear()
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("unrolled.compiler.runtime.cache._loaded", {})
    code, shown, errors = main("bench", "--only", "rnn", *TINY)
    assert (code, shown) == (1, "")
    assert "the environment variable CC names does not work" in errors


def test_ctrl_c_prints_and_writes_what_there_is(main, monkeypatch, tmp_path):
    class Impatient(bench.PlainDisplay):
        def ended(self):
            super().ended()
            if self.done == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(bench, "make_display", lambda: Impatient(bench.Console(stderr=True)))
    code, shown, errors = main("bench", "--only", "gru", *TINY, "--json", "f.json")
    assert code == 130
    assert "Interrupted: this is what was measured until then." in shown
    assert "GRU, inference" in shown
    assert "GRU, training" not in shown
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["complete"] is False
    assert {row["mode"] for row in found["rows"]} == {"inference"}
    assert "Traceback" not in errors


def test_on_a_terminal_a_bar_comes_and_goes(tmp_path):
    pty = pytest.importorskip("pty")
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"})
        os.execv(sys.executable, [sys.executable, "-m", "unrolled", "bench", "--only", "rnn", *TINY])
    received = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        received += part
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    text = received.decode(errors="replace")
    assert code == 0, text
    assert "RNN training 3x1x4" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    assert "torch.nn.RNN" in text


def test_help_does_not_load_torch_and_fits_eighty_columns():
    code = "import sys\nfrom unrolled.cli import main\n"
    code += "assert main(['bench', '--help']) == 0\n"
    code += "assert main(['bench', '--only', 'x']) == 2\n"
    code += "assert main(['bench', '--shape', 'x']) == 2\n"
    code += "heavy = {'torch', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    assert len([line for line in ended.stdout.splitlines() if line.strip().startswith("unrolled bench")]) == 4
