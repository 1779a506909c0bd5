"""The examples of the compiler, each in a short form."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_compiled_loop_is_faster_than_a_python_loop():
    command = [sys.executable, str(EXAMPLES / "compiled_speed.py"), "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    ratios = [float(line.split("ratio")[1]) for line in done.stdout.splitlines()]
    assert len(ratios) == 6
    assert max(ratios) > 1


def test_a_new_process_finds_the_kernel():
    command = [sys.executable, str(EXAMPLES / "first_use.py"), "Elman"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    cold, warm = (float(part.split("ms")[0].split()[-1]) for part in done.stdout.split(", "))
    assert warm < cold / 2
