"""``unrolled explain RUN --gradients``: how far back the memory of a run reaches."""

import json
import re
import shutil

import pytest

from unrolled.cli import main as run_main

SMALL = ["--hidden-size", "8", "--steps", "3"]
OF_TASK = {
    "text": (["corpus.txt", "--embedding-size", "8", "--window", "16", "--batch-size", "4"], 1, "16 windows of 20"),
    "classify": ([], 2, "16 held-out sequences"),
    "tag": ([], 2, "16 held-out sentences"),
    "forecast": ([], 2, "16 held-out windows"),
    "transcribe": (["--layers", "1", "--subsampling", "4", "--threads", "1"], 2, "16 held-out utterances"),
    "translate": (["--layers", "2", "--threads", "1"], 4, "16 held-out sources"),
}
TEXT = "".join(f"the cat sat on the mat {number} times and ran. " for number in range(200))


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with ``corpus.txt``, and a function from a task to the run in it, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("gradients")
    (folder / "corpus.txt").write_text(TEXT)

    def made(task):
        run = folder / task
        if not run.exists():
            data, *_ = OF_TASK[task]
            given = [str(folder / word) if word == "corpus.txt" else word for word in data]
            assert run_main(["train", task, *given, *SMALL, "-o", str(run)]) == 0
        return run

    return made


@pytest.mark.parametrize("task", OF_TASK)
def test_every_task(main, trained, tmp_path, task):
    run = trained(task)
    _, layers, data = OF_TASK[task]
    code, shown, errors = main("explain", run, "--gradients", "--steps", 20, "--output", "memory.svg")
    assert code == 0, errors
    assert f"{run}: memory over time" in shown
    assert shown.count("Lyapunov exponent") == layers
    assert f"Looked at: {data}" in shown
    assert re.search("-> (Forgets within|Remembers all) [0-9]+ steps", shown)
    assert all(len(line) <= 80 for line in shown.splitlines() if str(run) not in line)
    assert "sigmoid" in (tmp_path / "memory.svg").read_text()
    assert main("explain", run, "--gradients", "--steps", 20)[1] == shown
    record = json.loads(main("explain", run, "--gradients", "--steps", 20, "--json")[1])
    assert len(record["layers"]) == layers
    assert record["name"] == str(run)
    assert record["data"].startswith(data)
    assert record["layers"][0]["state"]["mean"][0] > 0


def test_other_data_rows_and_weights(main, trained, tmp_path):
    (tmp_path / "other.txt").write_text(TEXT[::-1] * 2)
    run = trained("text")
    options = ("--gradients", "--data", "other.txt", "--batch-size", 2, "--steps", 30, "--weights", "last", "--json")
    code, shown, errors = main("explain", run, *options)
    assert code == 0, errors
    record = json.loads(shown)
    assert (record["layers"][0]["rows"], record["layers"][0]["steps"]) == (2, 30)
    assert record["data"] == "2 windows of 30 tokens of the held-out text"


def test_a_new_cell_with_random_numbers(main, tmp_path):
    sizes = ("--input-size", 3, "--hidden-size", 5)
    code, shown, errors = main("explain", "lstm", "--gradients", *sizes, "-o", "cell.png")
    assert code == 0, errors
    assert shown.startswith("LSTM(input_size=3, hidden_size=5): memory over time\n")
    assert "LSTM, 100 steps, 16 rows" in shown
    assert "weights as they are first drawn" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert (tmp_path / "cell.png").read_bytes().startswith(b"\x89PNG")
    assert main("explain", "lstm", "--gradients", *sizes)[1] == shown
    code, shown, errors = main("explain", "outputfeedback", "--gradients", "--steps", 9, "--dtype", "float64")
    assert code == 0, errors
    assert "9 steps" in shown


OWN = """
import torch
from torch import nn
from unrolled import Cell

class Mine(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, h):
        both = torch.cat([x, h], -1)
        keep = torch.sigmoid(self.inner(both))
        h = keep * h + (1 - keep) * x.sum(1, keepdim=True)
        return h, h

class Fails(Mine):
    def step(self, x, h):
        return h, [][1]
"""


def test_a_cell_of_ones_own(main, trained, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, shown, errors = main("explain", "own.py:Mine", "--gradients", "--hidden-size", 4)
    assert code == 0, errors
    assert "sigmoid keep  own.py:14" in shown
    code, shown, errors = main("explain", "own.py:Fails", "--gradients")
    assert (code, shown) == (1, "")
    assert "CELL" in errors
    assert "own.py:20: " in errors
    corpus = trained("text").parent / "corpus.txt"
    words = OF_TASK["text"][0][1:]
    assert main("train", "text", corpus, *words, *SMALL, "--cell", "own.py:Mine", "-o", "run")[0] == 0
    code, _, errors = main("explain", "run", "--gradients")
    assert code == 2
    assert "name it again to run it" in errors
    code, shown, errors = main("explain", "run", "--gradients", "--cell", "own.py:Mine")
    assert code == 0, errors
    assert "sigmoid keep" in shown


def test_data_that_are_gone_or_others_now(main, trained, tmp_path):
    corpus = tmp_path / "c.txt"
    corpus.write_text(TEXT)
    words = OF_TASK["text"][0][1:]
    assert main("train", "text", "c.txt", *words, *SMALL, "-o", "run")[0] == 0
    corpus.write_text(TEXT + "more")
    code, _, errors = main("explain", "run", "--gradients")
    assert code == 1
    assert "has changed since" in errors
    assert "To look with other data: --data PATH" in errors
    corpus.unlink()
    code, _, errors = main("explain", "run", "--gradients")
    assert code == 1
    assert "there is no such file" in errors
    assert "--data PATH" in errors
    assert main("explain", "run", "--gradients", "--data", trained("text").parent / "corpus.txt")[0] == 0
    shutil.rmtree("run")


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["runs/none", "--gradients"], "RUN: expected the folder of a run, .* got 'runs/none'"),
        (2, ["perceptron", "--gradients"], "RUN: expected .* or a cell: .*Elman.* got 'perceptron'"),
        (2, ["own.txt:Mine", "--gradients"], "CELL: expected path.py:ClassName, got 'own.txt:Mine'"),
        (1, ["own.py:Mine", "--gradients"], "CELL own.py:Mine: there is no file"),
        (1, [".", "--gradients"], "config.json"),
        (2, ["LSTM", "--gradients", "--data", "a.txt"], "--data: expected a run folder with it"),
        (2, ["LSTM", "--gradients", "--output", "a.gif"], "--output: expected a name that ends in .svg, .png, .pdf"),
        (2, ["LSTM", "--gradients", "--output", "no/a.svg"], "--output: no/a.svg: there is no folder no"),
        (2, ["LSTM", "--gradients", "--stage", "graph"], "--gradients: expected none of --stage"),
        (2, ["LSTM", "--gradients", "--dtype", "int8"], "--dtype: expected one of"),
        (2, ["LSTM", "--gradients", "--steps", "1"], "at least 2 time steps"),
        (2, ["LSTM", "--data", "a.txt"], "--data, --weights, --cell: expected --gradients with them"),
        (2, ["LSTM", "--output", "a.png"], "--output: expected a name that ends in .svg, .mmd, .tex, got 'a.png'"),
        (2, ["LSTM", "--gradients", "--numbers"], "--gradients: expected none of --stage"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(main, code, arguments, message):
    found, shown, errors = main("explain", *arguments)
    assert re.search(message, errors), errors
    assert (found, shown) == (code, "")
    assert errors.count("\n") == 1


def test_sizes_are_the_runs_own_and_weights_are_named(main, trained):
    run = trained("text")
    code, _, errors = main("explain", run, "--gradients", "--hidden-size", 8)
    assert (code, "--hidden-size: expected none with a run" in errors) == (2, True)
    code, _, errors = main("explain", run, "--gradients", "--weights", "worst")
    assert (code, "--weights: expected best or last" in errors) == (2, True)
    code, _, errors = main("explain", run, "--gradients", "--data", "none.txt")
    assert (code, "there is no such file" in errors) == (1, True)
