"""What is known of a step is kept on disk: a new process needs neither the tracer nor a compiler."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from unrolled import unroll
from unrolled.cells import GRU, LSTM
from unrolled.compiler import engine, stored
from unrolled.compiler.build import build
from unrolled.compiler.fingerprint import read
from unrolled.compiler.recent import Recent
from unrolled.core import settle

PROGRAM = """
import sys
import torch
from unrolled import Recurrent
from unrolled.cells import GRU
torch.manual_seed(0)
cell = GRU(3, 5)
layer = Recurrent(cell, backend="compiled")
x = torch.randn(7, 2, 3, requires_grad=True)
outputs, last = layer(x)
outputs.sum().backward()
print("torch._functorch.aot_autograd" in sys.modules, "unrolled.compiler.trace" in sys.modules)
truth = Recurrent(cell, backend="reference")(x)[0]
assert torch.allclose(outputs, truth, atol=1e-6)
print(float(x.grad.double().sum()))
"""


def run_program(folder, text=PROGRAM, **environment):
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "UNROLLED_CACHE": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "cache"
    path.mkdir(mode=0o700)
    return path


def test_a_second_process_neither_traces_nor_compiles(folder):
    first = run_program(folder)
    assert first[0] == "True True"
    (bare := folder.parent / "bare").mkdir()  # no compiler is found there
    second = run_program(folder, PATH=str(bare))
    assert second == ["False False", first[1]]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b.replace(b"GRU", b"GRV") + b" ", lambda b: b""]
)
def test_what_is_damaged_is_made_again(folder, damage):
    first = run_program(folder)
    (path,) = folder.glob("*-plan.text")
    path.write_bytes(damage(path.read_bytes()))
    again = run_program(folder)
    assert again == first
    assert run_program(folder) == ["False False", first[1]]


def test_other_code_is_another_step(folder, tmp_path):
    source = tmp_path / "mine.py"
    program = (
        "import sys, torch\nsys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else '.')\n"
        "from mine import step\nfrom unrolled import unroll\n"
        "print(float(unroll(step, torch.ones(3, 1, 2), torch.zeros(1, 2), backend='compiled')[0].sum()))\n"
    )
    program = program.replace("sys.argv[1] if len(sys.argv) > 1 else '.'", repr(str(tmp_path)))
    for factor, expected in (("2", 24.0), ("3", 36.0), ("2", 24.0)):
        source.write_text(f"def step(x, s):\n    s = s + {factor} * x\n    return s, s\n")
        assert [float(line) for line in run_program(folder, program, PYTHONDONTWRITEBYTECODE="1")] == [expected]
    assert len(list(folder.glob("*-plan.text"))) == 2


def known_of(cell):
    run = settle(torch.zeros(1, 1, 3, requires_grad=True), cell.initial_state(1))
    return build(cell.step, run, read(cell.step), compiled=True)


@pytest.mark.parametrize("make", [GRU, LSTM])
def test_what_is_read_is_what_was_written(make):
    known = known_of(make(3, 5))
    stored.store("a key", known)
    assert stored.find("a key") == known
    assert stored.find("another key") is None


def test_another_version_of_the_compiler_finds_nothing(monkeypatch):
    stored.store("a third key", known_of(GRU(3, 5)))
    monkeypatch.setattr(stored, "_version", lambda: "another")
    assert stored.find("a third key") is None


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


def test_a_named_tuple_as_output_keeps_its_class(monkeypatch):
    def step(x, s):
        return Pair(s, x), s + x

    x = torch.ones(3, 1, 2)
    for _ in range(2):
        monkeypatch.setattr(engine, "_CACHE", Recent(4))
        outputs, _ = unroll(step, x, torch.zeros(1, 2), backend="compiled")
        assert type(outputs) is Pair
        torch.testing.assert_close(outputs.a[:, 0, 0], torch.tensor([0.0, 1.0, 2.0]))


def test_the_compilers_files_are_all_in_the_key():
    root = Path(stored.__file__).parent
    assert {path.suffix for path in root.rglob("*") if path.is_file()} <= {".py", ".h", ".pyc"}
