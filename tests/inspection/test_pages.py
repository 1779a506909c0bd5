"""Pages and data of every cell and of steps that ask much; the C that is printed is C."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from unrolled import cells, explain
from unrolled.compiler.codegen.prelude import prelude
from unrolled.core import Cell

STAGES = ["graph", "plan", "source"]
CLASSES = [getattr(cells, name) for name in cells.__all__]
NAMES = [kind.__name__ for kind in CLASSES if isinstance(kind, type) and issubclass(kind, Cell)]
I, H = 3, 5  # noqa: E741 (the field's own letters)


@pytest.mark.parametrize("stage", STAGES[:2])
def test_snapshots(stage):
    """The pages of one cell, as they were last looked at; UNROLLED_UPDATE_SNAPSHOTS=1 writes them anew."""
    version = ".".join(torch.__version__.split(".")[:2])
    page = re.sub(r"\.py:\d+", ".py:..", str(explain(cells.Elman(I, H), stage=stage)))
    text = f"PyTorch {version}\n{page}\n"
    path = Path(__file__).parent / "snapshots" / f"elman_{stage}.txt"
    if os.environ.get("UNROLLED_UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    if expected.splitlines()[0] != f"PyTorch {version}":
        pytest.skip(f"written under another {expected.splitlines()[0]}: its trace may differ")
    assert text == expected


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", NAMES)
def test_pages_of_every_cell(name, stage):
    found = explain(getattr(cells, name)(I, H), stage=stage)
    page = str(found)
    assert page.isascii()
    assert "\x1b" not in page
    if stage != "source":
        assert all(len(line) <= 80 and line == line.rstrip() for line in page.splitlines())
    again = json.loads(json.dumps(found.to_dict()))
    assert again == found.to_dict()
    assert again["stage"] == stage
    assert again["name"].startswith(f"{name}(input_size=3")


spec = importlib.util.spec_from_file_location("steps_to_explain", Path(__file__).parents[1] / "compiler" / "steps.py")
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)


@pytest.mark.parametrize("stage", STAGES[:2])
@pytest.mark.parametrize("name", ["Odd", "Memory", "Heads", "Solver"])
def test_pages_of_steps_that_ask_much(name, stage):
    page = str(explain(getattr(steps, name)(), stage=stage))
    assert page.isascii()
    assert all(len(line) <= 80 and line == line.rstrip() for line in page.splitlines())
    assert "7919" not in page  # the rows of the trace are B


def titles(page):
    return [line.partition(":")[0] for line in page.splitlines() if line.startswith(("kernel,", "torch,"))]


def test_only_parts_that_do_something_are_shown():
    before, loop, after = "kernel, before the loop", "kernel, the loop", "kernel, after the loop"
    totals = "kernel, when all steps are done"
    assert titles(str(explain(cells.Elman(I, H)))) == [before, loop, loop, after, totals]
    assert titles(str(explain(cells.Elman(I, H), backward=False))) == [before, loop]
    short = explain(cells.Elman(I, H).bfloat16())
    assert titles(str(short)) == [before, loop, loop, after, "torch, after the kernel"]


def test_a_number_in_any_shape_is_a_number():
    found = [operation.text for operation in explain(steps.Odd(), stage="graph").facts.step.operations]
    assert any(text.endswith("arange(4).reshape(1, 4) == 0") for text in found)
    assert any("where(" in text and ", 2, " in text for text in found)


def test_long_names_are_wrapped():
    class Long(Cell):
        def __init__(self):
            super().__init__()
            self.input_size = self.hidden_size = 3
            self.a_weight_with_a_name_that_is_really_quite_long = nn.Parameter(torch.randn(3))
            self.another_weight_with_a_name_that_is_really_quite_long = nn.Parameter(torch.randn(3))

        def step(self, x, h):
            h = h * self.a_weight_with_a_name_that_is_really_quite_long + x
            h = h + self.another_weight_with_a_name_that_is_really_quite_long
            return h, h

    for stage in STAGES[:2]:
        page = str(explain(Long(), stage=stage))
        assert all(len(line) <= 80 for line in page.splitlines())
        assert "a_weight_with_a_name_that_is_really_quite_long" in page


def test_the_source_is_c(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    part, whole = (explain(cells.LSTM(I, H), stage="source", whole=choice) for choice in (False, True))
    assert "u_forward" in part.facts.text
    assert "u_backward" in part.facts.text
    assert prelude() not in str(part)
    assert str(part).startswith("/* LSTM(")
    assert f"{prelude().count(chr(10))} lines" in " ".join(str(part).split())
    (tmp_path / "part.c").write_text(f"{prelude()}\n{part}\n")
    (tmp_path / "whole.c").write_text(f"{whole}\n")
    for name in ("part.c", "whole.c"):
        ended = subprocess.run(
            [compiler, "-std=gnu11", "-fsyntax-only", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr


def test_the_source_in_bfloat16_has_a_prelude_of_its_own():
    part = explain(cells.LSTM(I, H).bfloat16(), stage="source")
    whole = explain(cells.LSTM(I, H).bfloat16(), stage="source", whole=True)
    assert "u_shared_product_h(" in part.facts.text
    assert prelude(bfloat16=True) not in str(part)
    assert prelude(bfloat16=True) in str(whole)
