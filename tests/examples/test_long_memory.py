"""The example of long memory: its problems, its recipes, and that a batch of runs goes on where it stopped."""

import contextlib
import importlib.util
import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch

from unrolled import cells

SCRIPT = Path(__file__).parents[2] / "examples" / "long_memory.py"
SHORT = ("--length", "6", "--hidden-size", "4", "--updates", "3")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("long_memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(example, monkeypatch, capsys):
    """A function that runs the script with arguments, and gives what it printed."""

    def call(*arguments, code=None):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        with contextlib.nullcontext() if code is None else pytest.raises(SystemExit) as ended:
            example.main()
        assert code is None or ended.value.code == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return call


def test_the_adding_problem(example):
    x, total = example.adding(7, 500, torch.Generator().manual_seed(0))
    assert x.shape == (7, 500, 2)
    assert total.shape == (500,)
    numbers, marks = x.unbind(-1)
    assert marks[:3].sum(0).eq(1).all()
    assert marks[3:].sum(0).eq(1).all()
    assert set(marks.unique().tolist()) == {0.0, 1.0}
    assert (marks.sum(1) > 50).all()  # every step is marked now and then
    torch.testing.assert_close(total, (numbers * marks).sum(0))
    assert torch.mean((total - 1) ** 2).item() == pytest.approx(example.without_memory("adding", 7), rel=0.15)


def test_the_copy_task(example):
    x, answers = example.copy(5, 40, torch.Generator().manual_seed(0))
    assert x.shape == (5 + 20, 40, 10)
    assert x.sum(-1).eq(1).all()
    shown = x.argmax(-1)
    assert set(shown[:10].unique().tolist()) == set(range(8))
    assert shown[10:14].eq(8).all()
    assert shown[14].eq(9).all()  # the last ten answers begin with the step after it
    assert shown[15:].eq(8).all()
    assert answers[:15].eq(8).all()
    assert answers[15:].equal(shown[:10])
    assert example.without_memory("copy", 100) == pytest.approx(0.1733, abs=1e-4)
    chances = torch.full((25, 40, 9), -math.inf)
    chances[:15, :, 8], chances[15:, :, :8] = 0, 0  # the best guess without memory
    loss_of = example.PROBLEMS["copy"][3]
    assert loss_of(chances, answers).item() == pytest.approx(example.without_memory("copy", 5), rel=1e-5)


def test_gates_begin_open_for_all_times(example):
    chance = torch.Generator().manual_seed(0)
    for cell in (cells.LSTM(2, 400), cells.GRU(2, 400)):
        example.gate_biases(cell, "chrono", 200, chance)
        forget = (cell.bias_ih + cell.bias_hh)[400:800]
        assert forget.min() >= 0
        assert math.log(180) < forget.max() <= math.log(199)
        example.gate_biases(cell, "2.5", 200, chance)
        assert (cell.bias_ih + cell.bias_hh)[400:800].eq(2.5).all()


def test_a_cell_learns_to_add(run):
    printed = run("adding", "--cell", "gru", "--length", "6", "--hidden-size", "32", "--learning-rate", "1e-2")
    assert re.search(r"^GRU adding T=6: update 100, [\d.]+ min, loss [\d.]+$", printed, re.MULTILINE)
    assert re.search(r"^GRU, adding, T = 6: solved after \d+ updates and .* \(without memory 0.167\)$", printed, re.M)


def test_time_ends_a_run(run):
    printed = run("copy", "--cell", "OutputFeedback", *SHORT[:4], "--minutes", "0", "--option", "nonlinearity=relu")
    assert "not solved after 0 updates" in printed


def test_many_runs_go_on_where_they_stopped(run, tmp_path):
    file = tmp_path / "runs.jsonl"
    first = run("copy", "--all", str(file), "--cell", "gru", *SHORT)
    assert first.count("not solved") == 1
    both = run("copy", "adding", "--all", str(file), "--cell", "gru", "--cell", "rnn", *SHORT)
    assert both.count("not solved") == 3
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["problem"], row["cell"]) for row in rows] == [
        *(("copy", "GRU"), ("copy", "RNN"), ("adding", "GRU"), ("adding", "RNN"))
    ]
    assert rows[0]["recipe"]["hidden_size"] == 4
    assert rows[0]["parameters"] == 3 * (4 * 10 + 4 * 4 + 8)
    assert both.count("\n| ") == 5  # the table of all four


def test_every_recipe_is_one_of_a_cell(example):
    for name, recipe in example.RECIPES.items():
        made = example.maker(name, example.COMMON | recipe, 200, torch.Generator())
        network = example.Network("adding", made, 2, 2, 1)
        assert network(torch.rand(5, 3, 2)).shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected adding or copy, got none"),
        (("sorting",), "expected adding or copy, got sorting"),
        (("copy", "--cell", "gruu"), "expected one of .*GRU.*, got 'gruu'"),
    ],
)
def test_what_is_wrong_is_said(run, arguments, message):
    assert re.search(message, run(*arguments, code=2))
