"""The cells that flax has too, with the same weights: values, states and every gradient, ours and jax's."""

import numpy as np
import pytest
import torch

from unrolled import Recurrent
from unrolled.cells import GRU, IRNN, LSTM, UGRNN, Elman
from unrolled.core import leaves

T, B, I, H = 6, 3, 4, 5  # noqa: E741


def simple(p, bias):
    return {"i": {"kernel": p["weight_ih"].T, "bias": p[bias]}, "h": {"kernel": p["weight_hh"].T}}


def gates(p, letters, biased="h", bias="bias"):
    """Flax's tree of a dense layer for each gate: ``if`` of the input, ``hf`` of the state; one of them has a bias."""
    tree = {}
    for k, letter in enumerate(letters):
        rows = slice(k * H, (k + 1) * H)
        tree["i" + letter] = {"kernel": p["weight_ih"][rows].T}
        tree["h" + letter] = {"kernel": p["weight_hh"][rows].T}
        of_both = p[bias][rows] if bias in p else p["bias_ih"][rows] + p["bias_hh"][rows]
        tree[biased + letter]["bias"] = of_both
    return tree


def of_gru(p):
    """Of n each half has its own bias, since the gate stands between them."""
    tree = gates(p, "rzn", biased="i")
    tree["in"]["bias"], tree["hn"]["bias"] = p["bias_ih"][2 * H :], p["bias_hh"][2 * H :]
    return tree


CASES = {
    "Elman": (lambda: Elman(I, H), "SimpleCell", {}, lambda p: simple(p, "bias_h")),
    "IRNN": (lambda: IRNN(I, H), "SimpleCell", {"activation_fn": "relu"}, lambda p: simple(p, "bias")),
    "LSTM": (lambda: LSTM(I, H), "OptimizedLSTMCell", {}, lambda p: gates(p, "ifgo")),
    "GRU": (lambda: GRU(I, H), "GRUCell", {}, of_gru),
    # with its reset, flax's unit keeps by the gate by which the paper's forgets; without, it is this one
    "UGRNN": (lambda: UGRNN(I, H), "MGUCell", {"reset_gate": False}, lambda p: gates(p, "fn", biased="i")),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case):
    linen = pytest.importorskip("flax.linen")
    jax = pytest.importorskip("jax")
    make, name, options, tree_of = CASES[case]
    options = {key: getattr(jax.nn, value) if isinstance(value, str) else value for key, value in options.items()}
    torch.manual_seed(41)
    cell = make().double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    states = [torch.randn_like(leaf).requires_grad_() for leaf in leaves(cell.initial_state(B))]
    outputs, end = Recurrent(cell)(x, tuple(states) if len(states) == 2 else states[0])
    weighting = [torch.randn(T, B, H, dtype=torch.float64), *(torch.randn_like(s) for s in states)]
    loss = sum((w * v).sum() for w, v in zip(weighting, [outputs, *leaves(end)], strict=True))
    mine = torch.autograd.grad(loss, [x, *states, *cell.parameters()])

    with jax.enable_x64(True):
        theirs = getattr(linen, name)(H, **options)

        def run(x, states, parameters):
            carry, ys = tuple(reversed(states)) if len(states) == 2 else states[0], []  # flax has (c, h)
            for t in range(T):
                carry, y = theirs.apply({"params": tree_of(parameters)}, carry, x[t])
                ys.append(y)
            values = [jax.numpy.stack(ys), *(reversed(carry) if len(states) == 2 else [carry])]
            return sum((w.numpy() * v).sum() for w, v in zip(weighting, values, strict=True)), values

        given = [x.detach().numpy(), [s.detach().numpy() for s in states]]
        given.append({key: value.detach().numpy() for key, value in cell.named_parameters()})
        gradients, values = jax.grad(run, argnums=(0, 1, 2), has_aux=True)(*given)

    for ours, value in zip([outputs, *leaves(end)], values, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), value, rtol=1e-9, atol=1e-11)
    of_x, of_states, of_parameters = gradients
    expected = [of_x, *of_states, *(of_parameters[key] for key, _ in cell.named_parameters())]
    for ours, value in zip(mine, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), value, rtol=1e-9, atol=1e-11)
