"""A compiled layer used by several Python threads at once, and in a process that was forked after its use."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, threading
import torch
from unrolled import Recurrent
from unrolled.cells import LSTM

torch.set_num_threads(2)
torch.manual_seed(0)
layer, x = Recurrent(LSTM(8, 12), backend="compiled"), torch.randn(20, 64, 8)

def train():
    layer.zero_grad()
    outputs, _ = layer(x)
    outputs.sum().backward()
    return outputs, [parameter.grad.clone() for parameter in layer.parameters()]

truth, grads = train()
"""
THREADS = """
found = [None] * 6
def work(k):
    for _ in range(5):
        found[k] = layer(x)[0]
threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert all(torch.equal(outputs, truth) for outputs in found)
"""
FORK = """
if not os.fork():
    outputs, again = train()
    same = torch.equal(outputs, truth) and all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(grads, again))
    os._exit(0 if same else 3)
assert os.wait()[1] == 0
assert torch.equal(train()[0], truth)  # the parent goes on as before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("then", [THREADS, FORK], ids=["threads", "fork"])
def test_it_goes_on(then):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM + then], env=environment, check=True, timeout=120)
