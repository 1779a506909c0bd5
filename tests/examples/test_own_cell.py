"""The page on a cell of one's own: its code is the example's, what it shows is printed, its commands run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_cell.py"
PAGE = (ROOT / "docs" / "own-cell.md").read_text(encoding="utf-8")
SHORT = {  # what makes each command short
    "explain": ("--hidden-size", "8"),
    "bench": ("--shape", "4x2x4", "--seconds", "0"),
    "train": ("--steps", "2", "--hidden-size", "16", "--output", "run"),
}
COMMANDS = [line.split() for line in re.findall(r"^    unrolled (.*)$", PAGE, re.MULTILINE)]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def written(text):
    return [line for line in text.splitlines() if line.strip()]


def test_the_code_of_the_page_is_that_of_the_example():
    docstring, code = EXAMPLE.read_text(encoding="utf-8").split('"""\n\n', 1)
    assert docstring.startswith('"""')
    assert written("\n".join(blocks("python"))) == written(code)


def test_it_prints_what_the_page_shows_and_learns():
    command = [sys.executable, str(EXAMPLE), "--updates", "500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    shown = written("\n".join(blocks("text")))
    printed = written(done.stdout)
    exactly = [line for line in shown if not line.startswith("update")]
    assert exactly == [line for line in printed if not line.startswith("update")]
    losses = [float(line.split("loss")[1]) for line in printed if line.startswith("update")]
    assert losses[-1] < 0.06 < 0.167  # of who remembers nothing


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_its_commands_run(command, tmp_path):
    (tmp_path / "examples").symlink_to(EXAMPLE.parent)
    run = [sys.executable, "-m", "unrolled", *command]
    if command[0] == "bench":  # a shape that is small, in place of those of the page
        run = run[: run.index("--shape")]
    done = subprocess.run([*run, *SHORT[command[0]]], capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CoRNN" in done.stdout


def test_every_command_is_known():
    assert list(dict.fromkeys(command[0] for command in COMMANDS)) == list(SHORT)
