"""One module called from several threads, and under autocast."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.utils.parametrizations import weight_norm

from unrolled import nn as ours

from .pairs import pair


@pytest.mark.parametrize("copied", [False, True])
def test_the_first_call_from_several_threads(copied):
    x = torch.randn(5, 3, 4)
    expected = ours.LSTM(4, 8, 2)
    expected(x)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(30):
            layer = ours.LSTM(4, 8, 2)
            layer = copy.deepcopy(layer) if copied else layer
            results = [future.result()[0] for future in [threads.submit(layer, x) for _ in range(8)]]
            assert all(torch.equal(result, results[0]) for result in results)


def test_casts_of_one_thread_are_not_those_of_another():
    layer, x, lost = ours.GRU(4, 8), torch.randn(5, 3, 4), []

    def serve():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for _ in range(150):
                layer(x)

    def train():
        for _ in range(150):
            with torch.autocast("cpu", torch.bfloat16):
                outputs, _ = layer(x)
            lost.append(any(g is None for g in torch.autograd.grad(outputs.sum(), list(layer.parameters()))))

    train()
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(serve), threads.submit(train)]:
            future.result()
    assert not any(lost)


@pytest.mark.parametrize("low", ["x", "hx", "both", "none"])
@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru"])
def test_dtypes_under_autocast(kind, low):
    theirs, mine = pair(kind, 4, 8)
    x, h = torch.randn(5, 3, 4), torch.randn(1, 3, 8)
    x, h = (v.to(torch.bfloat16) if low in (name, "both") else v for name, v in (("x", x), ("hx", h)))
    for hx in (None, (h, h) if kind == "lstm" else h):
        with torch.autocast("cpu", torch.bfloat16):
            (got, _), (expected, _) = mine(x, hx), theirs(x, hx)
        assert got.dtype == expected.dtype
        torch.testing.assert_close(got, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cell_whose_weight_is_no_parameter(kind):
    cell = getattr(ours, kind)(4, 8)
    weight_norm(cell, "weight_hh")
    x, h = torch.randn(3, 4), torch.randn(3, 8)
    hx = (h, h) if kind == "LSTMCell" else h
    for _ in range(3):
        with torch.no_grad():
            found = cell(x, hx)
            torch.testing.assert_close(found, cell(x, hx))
        torch.testing.assert_close(found, cell(x, hx))  # with gradients it is torch's own step
        with torch.no_grad():
            cell.parametrizations.weight_hh.original1.mul_(1.5)
