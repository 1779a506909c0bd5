"""The worked example of the docs: three steps of a scalar network, forward and back through time by hand."""

from math import tanh

import pytest
import torch

from unrolled import Recurrent, unroll
from unrolled.cells import Elman, GeneralRNN

X = (1.0, 2.0, 3.0)
W_XH, W_HH, B_H, W_HY, B_Y = 0.5, 0.3, 0.1, 0.4, 0.2

H1 = tanh(W_XH * X[0] + W_HH * 0.0 + B_H)
H2 = tanh(W_XH * X[1] + W_HH * H1 + B_H)
H3 = tanh(W_XH * X[2] + W_HH * H2 + B_H)
D1, D2, D3 = 1 - H1**2, 1 - H2**2, 1 - H3**2  # derivatives of tanh

# One term for each step t of the loss and each lag back from it.
TERMS = {
    "W_hh": [
        W_HY * D1 * 0.0,  # t = 1, lag 0: h(0) = 0
        W_HY * D2 * H1,  # t = 2, lag 0
        W_HY * D2 * W_HH * D1 * 0.0,  # t = 2, lag 1
        W_HY * D3 * H2,  # t = 3, lag 0
        W_HY * D3 * W_HH * D2 * H1,  # t = 3, lag 1
        W_HY * D3 * W_HH * D2 * W_HH * D1 * 0.0,  # t = 3, lag 2
    ],
    "W_xh": [
        W_HY * D1 * X[0],
        W_HY * D2 * X[1],
        W_HY * D2 * W_HH * D1 * X[0],
        W_HY * D3 * X[2],
        W_HY * D3 * W_HH * D2 * X[1],
        W_HY * D3 * W_HH * D2 * W_HH * D1 * X[0],
    ],
    "b_h": [
        W_HY * D1,
        W_HY * D2,
        W_HY * D2 * W_HH * D1,
        W_HY * D3,
        W_HY * D3 * W_HH * D2,
        W_HY * D3 * W_HH * D2 * W_HH * D1,
    ],
    "W_hy": [H1, H2, H3],
    "b_y": [1.0, 1.0, 1.0],
    "h_0": [W_HY * D1 * W_HH, W_HY * D2 * W_HH * D1 * W_HH, W_HY * D3 * W_HH * D2 * W_HH * D1 * W_HH],
    "x_1": [W_HY * D1 * W_XH, W_HY * D2 * W_HH * D1 * W_XH, W_HY * D3 * W_HH * D2 * W_HH * D1 * W_XH],
    "x_2": [W_HY * D2 * W_XH, W_HY * D3 * W_HH * D2 * W_XH],
    "x_3": [W_HY * D3 * W_XH],
}
GRADIENTS = {name: sum(terms) for name, terms in TERMS.items()}


def scalar_elman():
    cell = Elman(1, 1, output_size=1).double()
    with torch.no_grad():
        for parameter, value in (
            (cell.weight_ih, W_XH),
            (cell.weight_hh, W_HH),
            (cell.bias_h, B_H),
            (cell.weight_ho, W_HY),
            (cell.bias_o, B_Y),
        ):
            parameter.fill_(value)
    return cell


def example_input():
    return torch.tensor(X, dtype=torch.float64).reshape(3, 1, 1).requires_grad_()


def test_forward_to_five_digits():
    cell = scalar_elman()
    x = example_input()
    y, h_end = Recurrent(cell)(x)
    (h, _), _ = unroll(lambda x, h: ((cell.step(x, h)[1], h), cell.step(x, h)[1]), x, torch.zeros(1, 1).double())
    assert [round(v, 5) for v in h.flatten().tolist()] == [0.53705, 0.85137, 0.95225]
    assert [round(v, 5) for v in y.flatten().tolist()] == [0.41482, 0.54055, 0.58090]
    assert round(h_end.item(), 5) == 0.95225


def test_pre_activations_to_five_digits():
    def step(x, h):
        a = W_XH * x + W_HH * h + B_H
        return a, torch.tanh(a)

    a, _ = unroll(step, example_input(), torch.zeros(1, 1, dtype=torch.float64))
    assert [round(v, 5) for v in a.flatten().tolist()] == [0.6, 1.26111, 1.85541]


def test_softmax_to_three_digits():
    cell = GeneralRNN(3, 3, 3, nonlinearity="identity", output_nonlinearity="softmax", bias=False)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(3))
        cell.weight_hh.zero_()
        cell.weight_ho.copy_(torch.eye(3))
    y, _ = Recurrent(cell)(torch.tensor([[[2.0, 1.0, 0.1]]]))
    assert [round(v, 3) for v in y.flatten().tolist()] == [0.659, 0.242, 0.099]


def test_back_through_time_by_hand_equals_recurrent():
    cell = scalar_elman()
    x = example_input()
    h0 = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    Recurrent(cell)(x, h0)[0].sum().backward()
    found = {
        "W_hh": cell.weight_hh.grad.item(),
        "W_xh": cell.weight_ih.grad.item(),
        "b_h": cell.bias_h.grad.item(),
        "W_hy": cell.weight_ho.grad.item(),
        "b_y": cell.bias_o.grad.item(),
        "h_0": h0.grad.item(),
        **dict(zip(("x_1", "x_2", "x_3"), x.grad.flatten().tolist(), strict=True)),
    }
    assert found == pytest.approx(GRADIENTS, rel=1e-13)


def test_back_through_time_by_hand_equals_unroll():
    names = ("W_xh", "W_hh", "b_h", "W_hy", "b_y")
    values = (W_XH, W_HH, B_H, W_HY, B_Y)
    closed = {n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in zip(names, values, strict=True)}

    def step(x, h):
        h = torch.tanh(closed["W_xh"] * x + closed["W_hh"] * h + closed["b_h"])
        return closed["W_hy"] * h + closed["b_y"], h

    y, _ = unroll(step, example_input(), torch.zeros(1, 1, dtype=torch.float64))
    y.sum().backward()
    assert {n: closed[n].grad.item() for n in names} == pytest.approx({n: GRADIENTS[n] for n in names}, rel=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_truncation_leaves_out_exactly_the_terms_that_cross_a_window(k):
    cell = scalar_elman()
    y, _ = unroll(cell.step, example_input(), torch.zeros(1, 1, dtype=torch.float64), truncated_bptt_steps=k)
    y.sum().backward()
    lags = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]  # in the order of TERMS
    for name, found in (("W_hh", cell.weight_hh), ("W_xh", cell.weight_ih), ("b_h", cell.bias_h)):
        kept = [term for (t, lag), term in zip(lags, TERMS[name], strict=True) if (t - 1) // k == (t - lag - 1) // k]
        assert found.grad.item() == pytest.approx(sum(kept), rel=1e-13)
