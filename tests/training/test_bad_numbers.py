"""Where a NaN came from: the step, the operation, and the line of the user's own file."""

import pytest
import torch

from unrolled.training.checkpoint import load_checkpoint

SMALL = ["--hidden-size", "6", "--embedding-size", "4", "--window", "7", "--batch-size", "3", "--threads", "1"]

CELL = """\
import torch
from unrolled import Cell

class Bad(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = torch.nn.Linear(input_size + hidden_size, hidden_size)
    def step(self, x, h):
        z = self.inner(torch.cat([x, h], -1))
        {first}
        {second}
        return h, h
"""

CASES = {
    # name: two lines of the cell, options, and what the message says
    "log": ("h = torch.log(z)", "", [], r"the loss .*step 1 \(nan\): first nan made by log at bad.py:11 in step"),
    "in place": ("h = z.clone()", "h.log_()", [], r"first nan made by log_? at bad.py:12 in step: h.log_\(\)"),
    "division": ("h = z / (z - z)", "", [], r"step 1 .*first infinity made by div at bad.py:11 in step: h = z / "),
    "sqrt backward": (
        "zero = (z - z.detach()).abs()",
        "h = torch.tanh(z + zero.sqrt())",
        [],
        r"the gradient is not finite at step 1 .*made by \w+ in the backward pass \(SqrtBackward0 of bad.py:12 in step",
    ),
    "norm backward": (
        "h = torch.tanh(z)",
        "h = h + (h - h.detach()).pow(0.5).sum(-1, keepdim=True)",
        [],
        r"the gradient is not finite at step 1 .* in the backward pass \(PowBackward0 of bad.py:12 in step: h = h",
    ),
    "explosion": (
        "h = torch.relu(z) * 3",
        "",
        ["--learning-rate", "1e18", "--warmup-steps", "0", "--gradient-clipping", "0", "--optimizer", "sgd"],
        r"not finite .*step [23] ",
    ),
}


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a rose is a rose is a rose, she said\n" * 20)
    return path


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_the_message_names_step_operation_and_line(case, in_folder, text_file, capsys):
    from unrolled.cli import main

    first, second, options, message = CASES[case]
    (in_folder / "bad.py").write_text(CELL.format(first=first, second=second))
    arguments = ["train", "text", "text.txt", "--cell", "bad.py:Bad", "--steps", "9", *SMALL, *options, "-o", "run"]
    assert main([*arguments, "--evaluate-every", "3"]) == 1
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("unrolled: ")]
    assert len(lines) == 1
    assert "Traceback" not in error
    import re

    assert re.search(message, lines[0]), lines[0]
    checkpoint = load_checkpoint(in_folder / "run" / "last.safetensors")
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values() if tensor.is_floating_point())


def test_a_nan_that_comes_late_is_found_at_its_step(in_folder, text_file, capsys, monkeypatch):
    """And the step that is run again meets the same chance: here a noise that is bad only now and then."""
    from unrolled.cli import main

    monkeypatch.setenv("UNROLLED_BACKEND", "reference")  # which draws its numbers as the search for the cause does
    (in_folder / "bad.py").write_text(
        CELL.format(first="h = torch.tanh(z)", second="h = h / (torch.rand(()) > (0.01 if self.training else -1))")
    )
    arguments = ["train", "text", "text.txt", "--cell", "bad.py:Bad", "--steps", "99", *SMALL, "--seed", "3"]
    assert main([*arguments, "-o", "run", "--evaluate-every", "1"]) == 1
    import re

    error = capsys.readouterr().err
    found = re.search(r"not finite at step (\d+) .*first infinity made by div at bad.py:12", error)
    assert found, error
    assert int(found[1]) > 1
    checkpoint = load_checkpoint(in_folder / "run" / "last.safetensors")
    assert checkpoint.info["step"] == int(found[1]) - 1
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors.values())
