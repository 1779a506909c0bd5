"""Time the first call of a compiled layer: with nothing on disk, and in a new process that finds its kernel there."""

import os
import subprocess
import sys
import tempfile

CHILD = """
import time
import torch
from unrolled import Recurrent, cells
layer, x = Recurrent(cells.{name}(128, 128{third})), torch.randn(100, 16, 128)
def train():
    start = time.perf_counter()
    layer(x)[0].sum().backward()
    return 1000 * (time.perf_counter() - start)
first = train()
print(first - min(train() for _ in range(5)))
"""


def first_use(name, folder):
    text = CHILD.format(name=name, third=", 128" if name in ("GeneralRNN", "Jordan") else "")
    environment = {**os.environ, "UNROLLED_CACHE": folder, "UNROLLED_BACKEND": "compiled"}
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


names = sys.argv[1:] or ["Elman", "GeneralRNN", "Jordan", "OutputFeedback", "LSTM", "GRU"]
for name in names:
    with tempfile.TemporaryDirectory() as folder:
        cold = first_use(name, folder)
        warm = min(first_use(name, folder) for _ in range(3))
    print(f"{name:15} beyond a later call: first use ever {cold:6.0f} ms, first use in a new process {warm:5.1f} ms")
