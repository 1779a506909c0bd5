"""Time sequences of one row whose step is linear in its state: the loop over time against scans over pieces of it."""

import os
import sys
import time

import torch

import unrolled
from unrolled.cells import LRU, QRNN, SRU, MinGRU, MinLSTM

repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 20
only = sys.argv[2:]  # names of cells; all if none is named


def clock(run, setting):
    os.environ["UNROLLED_SCAN"] = setting  # "0": the loop; "1": scans wherever they can be
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


print(f"{torch.get_num_threads()} threads, milliseconds: loop, scan, how many times as fast")
for make in (MinGRU, MinLSTM, QRNN, SRU, LRU):
    if only and make.__name__ not in only:
        continue
    for T, H in ((500, 128), (2000, 64), (2000, 128), (2000, 256)):
        cell, x = make(H, H), torch.randn(T, 1, H, requires_grad=True)
        start = cell.initial_state(1)

        def forward(cell=cell, x=x, start=start):
            with torch.no_grad():
                unrolled.unroll(cell.step, x, start, backend="compiled")

        def train(cell=cell, x=x, start=start):
            outputs, _ = unrolled.unroll(cell.step, x, start, backend="compiled")
            torch.autograd.grad(outputs.sum(), [x, *cell.parameters()])

        line = f"{make.__name__:8} T {T:5} H {H:4}"
        for name, run in (("forward", forward), ("training step", train)):
            times = {"0": [], "1": []}
            for setting in times:
                clock(run, setting)
            for _ in range(repeats):  # in turn, so that what else runs on the machine meets both
                for setting, found in times.items():
                    found.append(clock(run, setting))
            loop, scan = (min(found) for found in times.values())
            line += f"   {name} {loop:7.2f} {scan:7.2f} {loop / scan:5.2f}"
        print(line, flush=True)
