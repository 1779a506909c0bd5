"""The options of LSTM, GRU and the plain network: against loops in numpy, torch.nn and ONNX, on every backend."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from unrolled import InputError, InputTypeError, Recurrent
from unrolled.cells import GRU, LSTM, RNN
from unrolled.cells.gru import GRUState
from unrolled.core import leaves

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)
T, B, I, H, P = 5, 3, 3, 4, 2  # noqa: E741

OFTEN = {
    "plain": {},
    "no_bias": {"bias": False},
    "projection": {"proj_size": P},
    "norm": {"layer_norm": True},
    "norm_no_bias": {"layer_norm": True, "bias": False},
    "decay": {"time_decay": True},
    "learned_start": {"learn_initial_state": True},
    "sine": {"nonlinearity": "sin"},
    "most": {"proj_size": P, "layer_norm": True, "time_decay": True, "learn_initial_state": True},
}
OF_LSTM = {
    "gates": {"gate_nonlinearity": "hardtanh"},
    "peephole": {"peephole": True},
    "coupled": {"coupled": True},
    "coupled_peephole": {"coupled": True, "peephole": True},
    "1997": {"forget_gate": False},
    "1997_most": {"forget_gate": False, "peephole": True, "layer_norm": True, "proj_size": P},
    "all": {**OFTEN["most"], "peephole": True, "coupled": True},
}
OF_GRU = {
    "gates": {"gate_nonlinearity": "hardtanh"},
    "before": {"reset_after": False},
    "before_projection": {"reset_after": False, "proj_size": P},
    "before_norm": {"reset_after": False, "layer_norm": True},
    "all": {**OFTEN["most"], "reset_after": False},
}
CASES = [
    *((LSTM, name, options) for name, options in (OFTEN | OF_LSTM).items()),
    *((GRU, name, options) for name, options in (OFTEN | OF_GRU).items()),
    *((RNN, name, options) for name, options in OFTEN.items()),
]
every_case = pytest.mark.parametrize(
    ("kind", "options"), [pytest.param(kind, o, id=f"{kind.__name__}-{name}") for kind, name, o in CASES]
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(17)


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def made(kind, options):
    """The cell in float64 with normal, asymmetric parameters, and an input for it."""
    cell = kind(I, H, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(rand(*parameter.shape))
    return cell, ((rand(T, B, I), rand(T, B).abs()) if options.get("time_decay") else rand(T, B, I))


# ---------------------------------------------------------------- by hand, one row after the other

FUNCTIONS = {
    "tanh": np.tanh,
    "sin": np.sin,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hardtanh": lambda a: np.clip(a, -1, 1),
}


class ByHand:
    """A cell's parameters in numpy, zeros for what it has not, and what all three equations need."""

    def __init__(self, cell, options):
        self.p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
        self.options = options
        self.phi = FUNCTIONS[options.get("nonlinearity", "tanh")]
        self.sigma = FUNCTIONS[options.get("gate_nonlinearity", "sigmoid")]
        self.size = options.get("proj_size") or H

    def get(self, name, *shape):
        return self.p.get(name, np.zeros(shape))

    def project(self, h):
        return self.p["weight_hr"] @ h if "weight_hr" in self.p else h

    def product(self, of, v, rows):
        """The rows of W v + b, normed by themselves where the cell norms."""
        a = self.p[f"weight_{of}"][rows] @ v
        if f"norm_{of}" in self.p:
            a = self.p[f"norm_{of}"][rows] * norm(a)
        return a + self.p[f"bias_{of}"][rows] if f"bias_{of}" in self.p else a

    def decay(self, state, dt):
        if not self.options.get("time_decay"):
            return state
        return state * np.exp(-np.maximum(0, self.p["decay_weight"] * dt + self.p["decay_bias"]))


def norm(a):
    return (a - a.mean()) / np.sqrt(((a - a.mean()) ** 2).mean() + 1e-5)


def lstm_by_hand(hand, x, dt):
    h, c = hand.get("initial_h", hand.size), hand.get("initial_c", H)
    coupled, all_rows = hand.options.get("coupled"), slice(None)
    three = coupled or not hand.options.get("forget_gate", True)
    peeps = hand.get("weight_ch", 2 if three else 3, H)
    for t in range(T):
        c = hand.decay(c, dt[t])
        a = hand.product("ih", x[t], all_rows) + hand.product("hh", h, all_rows)
        if three:
            (i, g, o), (p_i, p_o) = np.split(a, 3), peeps
            i = hand.sigma(i + p_i * c)
            f = 1 - i if coupled else 1
        else:
            (i, f, g, o), (p_i, p_f, p_o) = np.split(a, 4), peeps
            i, f = hand.sigma(i + p_i * c), hand.sigma(f + p_f * c)
        c = f * c + i * hand.phi(g)
        o = hand.sigma(o + p_o * c)
        seen = hand.p["norm_c"] * norm(c) + hand.get("norm_c_bias", H) if "norm_c" in hand.p else c
        h = hand.project(o * hand.phi(seen))
        yield h, (h, c)


def gru_by_hand(hand, x, dt):
    m = hand.get("initial_h", H)
    h = hand.project(m)
    gates, new = slice(0, 2 * H), slice(2 * H, 3 * H)
    for t in range(T):
        if hand.options.get("time_decay"):
            m = hand.decay(m, dt[t])
            h = hand.project(m)
        r, z = np.split(hand.product("ih", x[t], gates) + hand.product("hh", h, gates), 2)
        r, z = hand.sigma(r), hand.sigma(z)
        if hand.options.get("reset_after", True):
            n = hand.phi(hand.product("ih", x[t], new) + r * hand.product("hh", h, new))
        else:
            n = hand.phi(hand.product("ih", x[t], new) + hand.product("hh", hand.project(r * m), new))
        m = (1 - z) * n + z * m
        h = hand.project(m)
        yield h, ((h, m) if hand.options.get("proj_size") else (h,))


def rnn_by_hand(hand, x, dt):
    h, all_rows = hand.get("initial_h", hand.size), slice(None)
    for t in range(T):
        h = hand.decay(h, dt[t])
        h = hand.project(hand.phi(hand.product("ih", x[t], all_rows) + hand.product("hh", h, all_rows)))
        yield h, (h,)


BY_HAND = {LSTM: lstm_by_hand, GRU: gru_by_hand, RNN: rnn_by_hand}


@every_case
def test_against_a_loop_in_numpy(kind, options):
    cell, x = made(kind, options)
    hand = ByHand(cell, options)
    values, dt = x if isinstance(x, tuple) else (x, torch.zeros(T, B))
    outputs, end = Recurrent(cell)(x)
    for row in range(B):
        steps = list(BY_HAND[kind](hand, values[:, row].numpy(), dt[:, row].numpy()))
        close(outputs[:, row], torch.from_numpy(np.stack([h for h, _ in steps])))
        for mine, theirs in zip(leaves(end), steps[-1][1], strict=True):
            close(mine[row], torch.from_numpy(theirs))


# ---------------------------------------------------------------- backends and derivatives

RESET = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.4


@every_case
def test_every_backend_runs_it_as_the_reference(kind, options):
    cell, x = made(kind, options)
    for more in ({}, {"lengths": [5, 0, 3], "reset": RESET}):
        found = []
        for backend in ("reference", "plan", "compiled"):
            outputs, end = Recurrent(cell, backend=backend)(x, **more)
            loss = outputs.square().sum() + sum(leaf.sin().sum() for leaf in leaves(end))
            found.append([outputs, *leaves(end), *torch.autograd.grad(loss, [*cell.parameters()])])
        close(found[1], found[0])
        close(found[2], found[0])


@every_case
def test_derivatives_of_the_kernel(kind, options):
    cell, x = made(kind, options)
    layer, names = Recurrent(cell, backend="compiled"), [f"cell.{name}" for name, _ in cell.named_parameters()]
    given = [leaf[:3].clone().requires_grad_() for leaf in leaves(x)]
    parameters = [p.detach().clone().requires_grad_() for p in cell.parameters()]

    def run(*tensors):
        x = tensors[0] if len(given) == 1 else tensors[: len(given)]
        values = dict(zip(names, tensors[len(given) :], strict=True))
        outputs, end = functional_call(layer, values, (x,), {"lengths": [3, 1, 2]})
        return outputs, *leaves(end)

    assert torch.autograd.gradcheck(run, (*given, *parameters))


def test_a_step_takes_times_as_a_vector_or_a_column():
    for kind in (LSTM, GRU, RNN):
        cell, (x, dt) = made(kind, {"time_decay": True})
        layer = Recurrent(cell)
        expected, _ = layer((x, dt))
        close(layer((x, dt[..., None]))[0], expected)
        close(layer((x, dt.float()))[0], expected, rtol=1e-5, atol=1e-5)
        state, outputs = None, []
        for t in range(T):
            output, state = layer.step((x[t], dt[t]), state)
            outputs.append(output)
        close(torch.stack(outputs), expected)
        whole, _ = Recurrent(cell, batch_first=True)((x.transpose(0, 1), dt.T))
        close(whole.transpose(0, 1), expected)


def test_the_memory_decays_by_the_time_since_the_step_before():
    """All weights zero: an LSTM's memory is only forgotten, by a half each step, and decays on the way."""
    cell = LSTM(I, H, time_decay=True).double()
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    rates, c0 = torch.tensor([0.0, 0.1, 1.0, -1.0]).double(), rand(B, H)
    cell.decay_weight.data.copy_(rates)
    dt = rand(T, B).abs()
    _, end = Recurrent(cell)((rand(T, B, I), dt), (torch.zeros(B, H).double(), c0))
    close(end.c, c0 * 0.5**T * torch.exp(-dt.sum(0)[:, None] * rates.clamp(min=0)))


# ---------------------------------------------------------------- parameters


ALL_NAMES = {
    LSTM: "weight_ih weight_hh bias_ih bias_hh weight_hr weight_ch norm_ih norm_hh norm_c norm_c_bias decay_weight "
    "decay_bias initial_h initial_c",
    GRU: "weight_ih weight_hh bias_ih bias_hh weight_hr norm_ih norm_hh decay_weight decay_bias initial_h",
    RNN: "weight_ih weight_hh bias_ih bias_hh weight_hr norm_ih norm_hh decay_weight decay_bias initial_h",
}


@pytest.mark.parametrize("kind", ALL_NAMES)
def test_names_order_and_first_values(kind):
    options = {**OFTEN["most"], **({"peephole": True} if kind is LSTM else {})}
    cell = kind(I, H, **options)
    shapes = {name: tuple(p.shape) for name, p in cell.named_parameters()}
    assert list(shapes) == ALL_NAMES[kind].split()
    gates = {LSTM: 4, GRU: 3, RNN: 1}[kind] * H
    assert (shapes["weight_ih"], shapes["weight_hh"], shapes["weight_hr"]) == ((gates, I), (gates, P), (P, H))
    bound = 1 / math.sqrt(H)
    for name, parameter in cell.named_parameters():
        if name in ("norm_ih", "norm_hh", "norm_c"):
            assert (parameter == 1).all()
        elif name in ("norm_c_bias", "decay_bias", "initial_h", "initial_c"):
            assert (parameter == 0).all()
        else:
            assert parameter.abs().max() <= bound
            assert parameter.unique().numel() == parameter.numel()
            assert (parameter.min() >= 0) == (name == "decay_weight")
    assert not list(cell.children())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("make", "make_torch"),
    [
        (LSTM, nn.LSTMCell),
        (GRU, nn.GRUCell),
        (RNN, nn.RNNCell),
        (partial(LSTM, proj_size=P), partial(nn.LSTM, proj_size=P)),
        (partial(LSTM, peephole=True, layer_norm=True, learn_initial_state=True), nn.LSTMCell),
        (partial(RNN, time_decay=True, weight_drop=0.5), nn.RNNCell),
    ],
)
def test_the_same_seed_gives_torchs_numbers(make, make_torch, bias):
    torch.manual_seed(3)
    theirs = list(make_torch(I, H, bias=bias).parameters())
    torch.manual_seed(3)
    mine = list(make(I, H, bias=bias).parameters())[: len(theirs)]
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_the_forget_gates_bias_at_the_start():
    torch.manual_seed(3)
    plain = LSTM(I, H)
    torch.manual_seed(3)
    biased = LSTM(I, H, forget_bias=1.5)
    forget = torch.arange(4 * H) // H == 1
    for (name, mine), other in zip(biased.named_parameters(), plain.parameters(), strict=True):
        if name.startswith("bias"):
            assert torch.equal(mine[~forget], other[~forget])
            assert (mine[forget] == (1.5 if name == "bias_ih" else 0)).all()
        else:
            assert torch.equal(mine, other)


def test_options_of_forgetting_that_contradict_each_other():
    with pytest.raises(InputError, match="coupled: expected False with forget_gate=False"):
        LSTM(I, H, coupled=True, forget_gate=False)
    for options in ({"coupled": True}, {"forget_gate": False}, {"bias": False}):
        with pytest.raises(InputError, match="forget_bias: expected None where the forget gate has no bias of its own"):
            LSTM(I, H, forget_bias=1.0, **options)


def test_torchs_states_of_an_lstm_with_a_projection():
    layer = nn.LSTM(I, H, proj_size=P).double()
    cell = LSTM(I, H, proj_size=P).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, h, c = rand(T, B, I), rand(B, P), rand(B, H)
    outputs, end = Recurrent(cell)(x, (h, c))
    expected, (h_end, c_end) = layer(x, (h[None], c[None]))
    close((outputs, *end), (expected, h_end[0], c_end[0]))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_torchs_plain_network(nonlinearity):
    layer = nn.RNN(I, H, nonlinearity=nonlinearity).double()
    cell = RNN(I, H, nonlinearity=nonlinearity).double()
    cell.load_state_dict(nn.RNNCell(I, H, nonlinearity=nonlinearity).state_dict(), strict=True)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, h = rand(T, B, I), rand(B, H)
    (outputs, end), (expected, end_torch) = Recurrent(cell)(x, h), layer(x, h[None])
    close((outputs, end), (expected, end_torch[0]))
    outputs.square().sum().backward()
    expected.square().sum().backward()
    close([p.grad for p in cell.parameters()], [p.grad for p in layer.parameters()])


@pytest.mark.parametrize("kind", ALL_NAMES)
def test_a_projected_start_is_the_projection_of_what_is_learned(kind):
    cell, _ = made(kind, {"proj_size": P, "learn_initial_state": True})
    state = cell.initial_state(B)
    if kind is GRU:
        assert isinstance(state, GRUState)
        close(state.h, state.memory @ cell.weight_hr.T)
        close(state.memory, cell.initial_h.expand(B, H))
    else:
        close(leaves(state)[0], cell.initial_h.expand(B, P))
    assert all(leaf.dtype == torch.float32 for leaf in leaves(cell.initial_state(B, dtype=torch.float32)))
    leaves(state)[-1].sum().backward()
    assert (list(cell.parameters())[-1].grad == B).all()


# ---------------------------------------------------------------- ONNX's operators


def onnx_rows(tensor, order):
    """Gates in ONNX's order, with an axis for the directions."""
    blocks = tensor.detach().chunk(max(order) + 1)
    return torch.cat([blocks[k] for k in order])[None].float().numpy()


def onnx_feeds(cell, x, order):
    biases = [onnx_rows(bias, order) for bias in (cell.bias_ih, cell.bias_hh)]
    return {
        "x": x.float().numpy(),
        "W": onnx_rows(cell.weight_ih, order),
        "R": onnx_rows(cell.weight_hh, order),
        "B": np.concatenate(biases, 1),
    }


def onnx_model(kind, feeds, **attributes):
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    names = ["x", "W", "R", "B", "", "", "", "P"] if "P" in feeds else ["x", "W", "R", "B"]
    node = make.make_node(kind, names, ["y"], hidden_size=H, **attributes)
    inputs = [make.make_tensor_value_info(name, 1, value.shape) for name, value in feeds.items()]
    graph = make.make_graph([node], "one", inputs, [make.make_tensor_value_info("y", 1, None)])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 14)], ir_version=8)


def test_onnxs_peepholes():
    cell, x = made(LSTM, {"peephole": True})
    feeds = onnx_feeds(cell, x, [0, 3, 1, 2])  # i, o, f, c
    feeds["P"] = cell.weight_ch.detach()[[0, 2, 1]].flatten()[None].float().numpy()
    model = onnx_model("LSTM", feeds)
    from onnx.reference import ReferenceEvaluator

    (y,) = ReferenceEvaluator(model).run(None, feeds)
    close(Recurrent(cell)(x)[0].float(), torch.from_numpy(y[:, 0]).float(), rtol=1e-4, atol=1e-5)


def test_onnxs_reset_before_the_product():
    cell, x = made(GRU, {"reset_after": False})
    feeds = onnx_feeds(cell, x, [1, 0, 2])  # z, r, n
    model = onnx_model("GRU", feeds, linear_before_reset=0)
    from onnx.reference import ReferenceEvaluator

    (y,) = ReferenceEvaluator(model).run(None, feeds)
    close(Recurrent(cell)(x)[0].float(), torch.from_numpy(y[:, 0]).float(), rtol=1e-4, atol=1e-5)


def test_onnxs_input_forget_keeps_the_input_gate():
    runtime = pytest.importorskip("onnxruntime")
    cell, x = made(LSTM, {"coupled": True})
    whole = LSTM(I, H).double()  # whose forget gate, random, nobody reads
    for name, value in cell.named_parameters():
        i, g, o = value.detach().chunk(3)
        with torch.no_grad():
            getattr(whole, name).copy_(torch.cat([i, torch.randn_like(i), g, o]))
    feeds = onnx_feeds(whole, x, [0, 3, 1, 2])
    session = runtime.InferenceSession(onnx_model("LSTM", feeds, input_forget=1).SerializeToString())
    (y,) = session.run(None, feeds)
    close(Recurrent(cell)(x)[0].float(), torch.from_numpy(y[:, 0]).float(), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("kind", ALL_NAMES)
@pytest.mark.parametrize("name", ["recurrent_dropout", "zoneout", "weight_drop"])
@pytest.mark.parametrize("value", [-0.1, 1.0, 1, math.nan, "0.5", True, (0.1, 0.2, 0.3)])
def test_a_probability_is_at_least_0_and_below_1(kind, name, value):
    with pytest.raises(InputError, match=f"{name}: expected a probability, at least 0 and below 1, got"):
        kind(I, H, **{name: value})


@pytest.mark.parametrize("kind", ALL_NAMES)
def test_other_bad_arguments(kind):
    for size in (-1, 1.5, True):
        with pytest.raises(InputError, match="proj_size: expected a whole number, 0 for no projection"):
            kind(I, H, proj_size=size)
    with pytest.raises(InputError, match="nonlinearity: expected a function or one of"):
        kind(I, H, nonlinearity="tan")
    cell = kind(I, H, time_decay=True)
    for x in (torch.zeros(2, I), (torch.zeros(2, I),), (torch.zeros(2, I), torch.zeros(2), torch.zeros(2))):
        with pytest.raises(InputTypeError, match=r"x: expected the pair \(x, dt\) with time_decay=True, got"):
            cell.step(x, cell.initial_state(2))
