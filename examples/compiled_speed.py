"""Time the compiled loop of each cell against a Python loop over the same step: forward and backward."""

import sys
import time

import torch

from unrolled import Recurrent
from unrolled.cells import GRU, LSTM, Elman, GeneralRNN, Jordan, OutputFeedback

repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 12
T, B, H = 100, 16, 128
x = torch.randn(T, B, H)


def python_loop(cell):
    state, outputs = cell.initial_state(B), []
    for t in range(T):
        output, state = cell.step(x[t], state)
        outputs.append(output)
    torch.stack(outputs).sum().backward()


def clock(run):
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


cells = [Elman(H, H), GeneralRNN(H, H, H), Jordan(H, H, H), OutputFeedback(H, H), LSTM(H, H), GRU(H, H)]
for cell in cells:
    layer = Recurrent(cell, backend="compiled")
    runs = {"loop": lambda cell=cell: python_loop(cell), "compiled": lambda layer=layer: layer(x)[0].sum().backward()}
    if isinstance(cell, (LSTM, GRU)):
        theirs = getattr(torch.nn, type(cell).__name__)(H, H)
        runs["torch.nn"] = lambda theirs=theirs: theirs(x)[0].sum().backward()
    for run in runs.values():
        run()
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(clock(run))
    best = {name: min(found) for name, found in times.items()}
    shown = "  ".join(f"{name} {value:6.2f} ms" for name, value in best.items())
    print(f"{type(cell).__name__:15} {shown}  ratio {best['loop'] / best['compiled']:.1f}")
