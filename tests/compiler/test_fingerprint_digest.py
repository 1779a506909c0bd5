"""The digest is alike in every process and knows the code; a reading is quick."""

import math
import os
import subprocess
import sys
import time

from unrolled import cells
from unrolled.compiler.fingerprint import read

PROGRAM = """
import enum
import torch
from torch import nn
from unrolled import Cell
from unrolled.compiler.fingerprint import digest
{filler}
GAIN = {gain}

class Mode(enum.Enum):
    FAST = {mode}

def helper(a):
    return {helper}

class Mine(Cell):
    {twist}
    def __init__(self):
        super().__init__()
        self.names = {{"a", "b", "c", "d"}}
        self.mode, self.table = Mode.FAST, {{"x": 1.0}}
        self.inner = nn.Linear(2, 2)

    @property
    def rate(self):
        return {rate}

    def other(self, a):
        return {other}

    def step(self, x, h):
        if self.mode in {{1, 2, "a", "b", Mode.FAST}}:
            h = h + 1
        return {step}, self.inner(h) * self.rate

print(digest(Mine().step))
"""
PLAIN = {
    "filler": "",
    "gain": "1.0",
    "mode": "1",
    "helper": "a * GAIN",
    "twist": "",
    "rate": "0.5",
    "other": "helper(a)",
    "step": "self.other(x)",
}
CHANGES = [
    {},
    {"gain": "2.0"},
    {"mode": "3"},
    {"helper": "a + GAIN"},
    {"rate": "0.25"},
    {"other": "helper(a) + 1"},
    {"step": "self.other(x) + 1"},
    {"twist": "def unnamed(self): return 1"},
]
OF_CELLS = """
from unrolled import cells
for cell in [cells.LSTM(2, 3), cells.GRU(2, 3), cells.Elman(2, 3, 2, "softmax"), cells.Jordan(2, 3)]:
    print(digest(cell.step))
"""


def digests(folder, seed, filler):
    """The digests of the program, changed in each way, and of some cells, all found by another process."""
    folder.mkdir()
    main = ["import runpy"]
    for number, change in enumerate(CHANGES):
        path = folder / f"program_{number}.py"
        path.write_text(PROGRAM.format(**PLAIN | change | {"filler": filler}) + (OF_CELLS if not change else ""))
        main.append(f"runpy.run_path({str(path)!r}, run_name='program')")
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "\n".join(main)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.split()


def test_the_digest_is_alike_in_every_process_and_knows_the_code(tmp_path):
    first = digests(tmp_path / "here", 1, "")
    assert digests(tmp_path / "elsewhere", 2, "\n\n# moved down\n") == first
    assert all(len(found) == 64 for found in first)
    assert len(set(first)) == len(first) == len(CHANGES) + 4


def test_a_reading_takes_far_less_than_a_trace():
    step = cells.LSTM(3, 4).step
    read(step)
    best = math.inf
    for _ in range(200):
        start = time.perf_counter()
        read(step)
        best = min(best, time.perf_counter() - start)
    assert best < 2e-3  # some twenty microseconds
