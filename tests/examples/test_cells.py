"""The examples of the compiler, each in a short form."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_compiled_loop_is_faster_than_a_python_loop():
    command = [sys.executable, str(EXAMPLES / "compiled_speed.py"), "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    ratios = [float(line.split("ratio")[1]) for line in done.stdout.splitlines()]
    assert len(ratios) == 6
    assert max(ratios) > 1


@pytest.mark.slow
def test_the_scan_is_timed_beside_the_loop():
    command = [sys.executable, str(EXAMPLES / "scan_speed.py"), "1", "MinGRU"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert "threads" in title
    assert [line.split()[0] for line in lines] == ["MinGRU"] * 4


def test_a_new_process_finds_the_kernel():
    command = [sys.executable, str(EXAMPLES / "first_use.py"), "Elman"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    cold, warm = (float(part.split("ms")[0].split()[-1]) for part in done.stdout.split(", "))
    assert warm < cold / 2


def test_the_copy_task_shows_where_the_gradient_is_lost(tmp_path):
    picture = tmp_path / "copy.svg"
    command = [sys.executable, str(EXAMPLES / "copy_task.py"), "--steps", "8", "--delay", "97", "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert "lag 100" in header
    assert [line[:12].strip() for line in lines[::3]] == ["Elman", "LSTM", "LSTM, open", "GRU"]
    left = [float(line[12:].split()[2]) for line in lines]  # at lag 100, before training and after little of it
    elman, opened = left[:3], left[6:9]
    assert max(elman) < 1e-15
    assert min(opened) > 1e-3
    assert "state.c" in picture.read_text()
