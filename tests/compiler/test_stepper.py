"""Single steps without gradients: the function that runs them again gives what the usual path gives, or nothing."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from unrolled import Cell, InputError, Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman
from unrolled.layers import streaming
from unrolled.layers.streaming import STEPS

T, B, I, H = 12, 2, 5, 20  # noqa: E741


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


class Leaky(Cell):
    def __init__(self, input_size=I, hidden_size=H):
        super().__init__()
        self.hidden_size, self.dt = hidden_size, 0.1
        self.u, self.w = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size, bias=False)

    def step(self, x, h):
        h = h + self.dt * (torch.tanh(self.u(x) + self.w(h)) - h)
        return h if self.training else h * 2, h


class Inner(NamedTuple):
    h: Tensor
    count: tuple[Tensor, Tensor]


class Trees(Cell):
    """Trees in, out and between, of three dtypes."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(H, H, dtype=torch.float64) / 4)

    def initial_state(self, batch_size):
        zeros = torch.zeros(batch_size, H)
        return Inner(zeros.double(), (zeros[:, 0].clone(), zeros[:, 1].long())), zeros

    def step(self, x, state):
        (h, (total, count)), last = state
        a, (b,) = x
        h = torch.tanh(h @ self.w + a.double() * b[:, None])
        total, count = total + a.sum(-1), count + 1
        return (h.float(), (total * 2,)), (Inner(h, (total, count)), last + a)


class Blocks(Cell):
    """A weight of several matrices."""

    hidden_size = H

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 5, 5))

    def step(self, x, h):
        h = torch.tanh(torch.einsum("bgk,gkn->bgn", h.view(-1, 4, 5), self.w).flatten(1) + x)
        return h, h


class NoInput(Cell):
    hidden_size = H

    def step(self, _, h):
        new = torch.sin(h) * 0.9
        return new + 1, new


def trees(batch=B):
    return torch.randn(batch, H), (torch.randn(batch),)


def flat(tree):
    return [leaf for child in tree for leaf in flat(child)] if isinstance(tree, tuple) else [tree]


def structure(tree):
    return (type(tree), *map(structure, tree)) if isinstance(tree, tuple) else type(tree)


def start(layer, batch=B):
    state = layer.initial_state(batch)
    return type(state)(*(torch.randn_like(s) for s in state)) if isinstance(state, LSTM_STATE) else state


LSTM_STATE = type(LSTM(1, 1).initial_state(1))


@torch.no_grad()
def warm(layer, x, state, steps=10):
    """Steps until there is a function of these arguments; the state after them."""
    for _ in range(steps):
        _, state = layer.step(x, state)
    return state


def again(layer, x, state):
    """What the functions of a layer give; None if they give nothing."""
    found = [function(layer.__dict__, x, state) for function in STEPS.get(id(layer), ())]
    return next((results for results in found if results is not None), None)


def serves(layer, x, state):
    """Whether a function serves, and gives the very bits, the structure and the kinds of the usual path."""
    found = again(layer, x, state)
    if found is None:
        return False
    usual = layer._usual_step(x, state)
    assert structure(found) == structure(usual)
    for a, b in zip(flat(found), flat(usual), strict=True):
        assert (a.shape, a.dtype, a.stride(), a.requires_grad) == (b.shape, b.dtype, b.stride(), b.requires_grad)
        assert a.is_inference() == b.is_inference()
        assert not a._is_view()
        assert torch.equal(a, b)
    return True


MAKE = {
    "LSTM": lambda: (LSTM(I, H), lambda batch: torch.randn(batch, I)),
    "GRU": lambda: (GRU(I, H), lambda batch: torch.randn(batch, I)),
    "Elman": lambda: (Elman(I, H), lambda batch: torch.randn(batch, I)),
    "GRU in float64": lambda: (GRU(I, H).double(), lambda batch: torch.randn(batch, I).double()),
    "leaky": lambda: (Leaky(), lambda batch: torch.randn(batch, I)),
    "trees": lambda: (Trees(), trees),
    "blocks": lambda: (Blocks(), lambda batch: torch.randn(batch, H)),
    "no input": lambda: (NoInput(), lambda batch: None),
    "large": lambda: (LSTM(96, 260), lambda batch: torch.randn(batch, 96)),
}


@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("name", MAKE)
def test_the_same_bits_as_the_usual_path_and_as_the_whole(name, batch):
    cell, draw = MAKE[name]()
    layer = Recurrent(cell, backend="compiled")
    x = [draw(batch) for _ in range(T)]
    state = start(layer, batch)
    with torch.no_grad():
        state = warm(layer, x[0], state)
        assert serves(layer, x[0], state)
        outputs, now = [], state
        for part in x:
            output, now = layer.step(part, now)
            outputs.append(output)
        whole = None if x[0] is None else tuple_of([flat(part) for part in x], x[0])
        expected, end = layer(whole, state, steps=T if whole is None else None)
    for k, leaf in enumerate(flat(expected)):
        assert torch.equal(leaf, torch.stack([flat(output)[k] for output in outputs]))
    assert all(map(torch.equal, flat(now), flat(end)))


def tuple_of(rows, like):
    """The trees' leaves, stacked over time, in the structure of one of them."""
    columns = [torch.stack(column) for column in zip(*rows, strict=True)]
    return columns[0] if isinstance(like, Tensor) else (columns[0], (columns[1],))


def ready(cell=None, batch=B):
    layer, x = Recurrent(LSTM(I, H) if cell is None else cell, backend="compiled"), torch.randn(batch, I)
    state = start(layer, batch)
    warm(layer, x, state)
    with torch.no_grad():
        assert serves(layer, x, state)
    return layer, x, state


def test_results_share_no_memory():
    layer, x, state = ready()
    with torch.no_grad():
        first = flat(layer.step(x, state))
        before = [leaf.clone() for leaf in first]
        second = flat(layer.step(x, state))
        assert len({leaf.untyped_storage().data_ptr() for leaf in (*first, *second, x, *state)}) == 9
        for leaf in second:
            leaf.fill_(7)
        assert all(map(torch.equal, first, before))
        assert all(map(torch.equal, flat(layer.step(x, state)), before))


def sgd(layer):
    with torch.enable_grad():
        layer(torch.randn(3, B, I))[0].sum().backward()
    torch.optim.SGD(layer.parameters(), 0.1).step()


CHANGES = {
    "an optimizer": sgd,
    "load_state_dict": lambda layer: layer.load_state_dict(Recurrent(LSTM(I, H)).state_dict()),
    "a soft update": lambda layer: [p.data.mul_(0.9).add_(0.01) for p in layer.parameters()],
    "new data": lambda layer: [setattr(p, "data", torch.randn_like(p)) for p in layer.parameters()],
    "an element": lambda layer: layer.cell.weight_hh[3, 4].fill_(9),
    "a bias through data": lambda layer: layer.cell.bias_hh.data.mul_(3),
    "a new parameter": lambda layer: setattr(layer.cell, "weight_hh", nn.Parameter(torch.randn(4 * H, H))),
    "a frozen parameter": lambda layer: layer.requires_grad_(False),
    "evaluation": lambda layer: layer.eval(),
    "nothing": lambda layer: None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_weights_take_effect(change):
    layer, x, state = ready()
    other = Recurrent(copy.deepcopy(layer.cell), backend="compiled")
    with torch.no_grad():
        CHANGES[change](layer)
        other.cell.load_state_dict(layer.cell.state_dict())
        for _ in range(12):
            results, expected = layer.step(x, state), other._usual_step(x, state)
            assert all(map(torch.equal, flat(results), flat(expected)))
        assert serves(layer, x, state)  # at last


@pytest.mark.parametrize("group", [0, 3])
def test_a_write_through_data_to_the_first_or_the_last_matrix(group):
    layer, x, state = Recurrent(Blocks(), backend="compiled"), torch.randn(B, H), torch.randn(B, H)
    warm(layer, x, state)
    with torch.no_grad():
        assert serves(layer, x, state)
        layer.cell.w.data[group].mul_(2)
        assert serves(layer, x, state)


def test_another_dtype():
    layer, x, state = ready()
    layer.double()
    x, state = x.double(), type(state)(*(s.double() for s in state))
    with torch.no_grad():
        for _ in range(12):
            results = flat(layer.step(x, state))
            assert all(map(torch.equal, results, flat(layer._usual_step(x, state))))
        assert serves(layer, x, state)


def test_changed_attributes_take_effect():
    layer, x, state = ready(Leaky())
    with torch.no_grad():
        for change in (
            lambda: setattr(layer.cell, "dt", 0.5),
            lambda: layer.eval(),
            lambda: layer.train(),
            lambda: setattr(layer, "cell", Leaky()),
            lambda: setattr(layer.cell, "step", lambda x, h: (h, h + 1)),
        ):
            change()
            assert again(layer, x, state) is None or serves(layer, x, state)
            expected = layer._usual_step(x, state)
            assert all(map(torch.equal, flat(layer.step(x, state)), flat(expected)))
            warm(layer, x, state)


def test_a_class_whose_step_is_another_now(monkeypatch):
    layer, x, state = ready(Leaky())
    monkeypatch.setattr(Leaky, "step", lambda self, x, h: (h, h + 1))
    with torch.no_grad():
        assert again(layer, x, state) is None
        assert torch.equal(layer.step(x, state)[1], state + 1)


def test_hooks_and_options():
    layer, x, state = ready()
    with torch.no_grad():
        layer.cell.register_forward_pre_hook(lambda *_: None)
        assert again(layer, x, state) is None
        layer, x, state = ready()
        layer.backend = "reference"
        assert again(layer, x, state) is None
        layer.backend, layer.reverse = "compiled", True
        with pytest.raises(InputError, match="reverse"):
            layer.step(x, state)


@pytest.mark.parametrize(
    "other",
    [
        lambda x, s: (torch.randn(3, I), type(s)(torch.randn(3, H), torch.randn(3, H))),
        lambda x, s: (torch.randn(I, B).T, s),
        lambda x, s: (torch.randn(B, 2 * I)[:, ::2], s),
        lambda x, s: (x.clone().requires_grad_(), s),
        lambda x, s: (x, (s.h, s.c)),
        lambda x, s: (x, type(s)(s.h, torch.randn(H, B).T)),
        lambda x, s: (nn.Parameter(x), s),
        lambda x, s: (x, type(s)(x.new_zeros(B, H), s.c)),
        lambda x, s: (torch.randn(T, B, I)[3], s),
    ],
)
def test_other_arguments(other):
    layer, x, state = ready()
    x, state = other(x, state)
    with torch.no_grad():
        for _ in range(8):
            results, expected = layer.step(x, state), layer._usual_step(x, state)
            assert structure(results) == structure(expected)
            assert all(map(torch.equal, flat(results), flat(expected)))


def test_wrong_arguments_are_told_as_before():
    layer, x, state = ready()
    with torch.no_grad():
        with pytest.raises(InputError, match="expected"):
            layer.step(x[:, :3], state)
        with pytest.raises(InputError, match="expected"):
            layer.step(x[:1], state)


def test_gradients_go_the_usual_way():
    layer, x, state = ready()
    output, _ = layer.step(x, state)
    assert output.grad_fn is not None
    grads = torch.autograd.grad(output.sum(), list(layer.parameters()))
    expected = torch.autograd.grad(layer(x[None], state)[0].sum(), list(layer.parameters()))
    assert all(map(torch.equal, grads, expected))


class Counting(torch.utils._python_dispatch.TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


CONTEXTS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "forward differentiation": forward_ad.dual_level,
    "a dispatch mode": Counting,
    "anomaly detection": torch.autograd.detect_anomaly,
}


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("context", CONTEXTS)
def test_contexts_in_which_it_does_not_serve(context):
    layer, x, state = ready()
    with torch.no_grad(), CONTEXTS[context]():
        assert again(layer, x, state) is None


@pytest.mark.filterwarnings("ignore:`torch.jit.trace`")
def test_transforms_and_traces():
    layer, x, state = ready()
    seen = []

    def look(x):
        seen.append(again(layer, x, state))
        return x * 2

    with torch.no_grad():
        torch.func.vmap(look)(x[None])
        torch.jit.trace(look, x, check_trace=False)
        assert seen
        assert all(found is None for found in seen)
        torch.set_default_dtype(torch.float64)
        try:
            assert again(layer, x, state) is None
        finally:
            torch.set_default_dtype(torch.float32)


def test_another_number_of_threads():
    layer, x, state = ready()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        with torch.no_grad():
            assert again(layer, x, state) is None
            warm(layer, x, state)
            assert serves(layer, x, state)
    finally:
        torch.set_num_threads(before)


def test_inference_mode():
    layer, x = Recurrent(GRU(I, H), backend="compiled"), torch.randn(B, I)
    with torch.inference_mode():
        state = warm(layer, x, torch.zeros(B, H), 12)
        assert serves(layer, x, state)
        expected, _ = layer._usual_step(x, state)
    assert torch.equal(expected, layer._usual_step(x.clone(), state.clone())[0])


def test_copies_and_files_know_nothing_of_it(tmp_path):
    layer, x, state = ready()
    plain = Recurrent(copy.deepcopy(layer.cell), backend="compiled")
    assert layer.__dict__.keys() == plain.__dict__.keys()
    torch.save(layer, tmp_path / "layer.pt")
    loaded = torch.load(tmp_path / "layer.pt", weights_only=False)
    for other in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer)), loaded):
        assert id(other) not in STEPS
        with torch.no_grad():
            assert all(map(torch.equal, flat(other.step(x, state)), flat(layer.step(x, state))))


def test_it_goes_with_its_layer():
    layer, _, _ = ready()
    place = id(layer)
    assert place in STEPS
    del layer
    assert place not in STEPS
    assert place not in streaming._STREAMS


def test_a_stack():
    stack, x = Stack([LSTM(I, H), GRU(H, H)], backend="compiled").eval(), torch.randn(T, B, I)
    with torch.no_grad():
        _, state = stack.step(x[0])
        for _ in range(10):
            stack.step(x[0], state)
        assert all(id(layer) in STEPS for layer in stack.layers)
        outputs, now = [], state
        for t in range(T):
            output, now = stack.step(x[t], now)
            outputs.append(output)
        expected, _ = stack(x, state)
    assert torch.equal(torch.stack(outputs), expected)


def test_few_functions_are_kept_and_shapes_that_change_get_right_results():
    layer = Recurrent(GRU(I, H), backend="compiled")
    with torch.no_grad():
        for batch in (1, 2, 3, 4, 5, 6, 1, 2) * 3:
            x, state = torch.randn(batch, I), torch.randn(batch, H)
            for _ in range(5):
                assert torch.equal(layer.step(x, state)[0], layer._usual_step(x, state)[0])
    assert 1 < len(STEPS[id(layer)]) <= 4


def test_what_no_function_can_run_goes_the_usual_way():
    class Draws(Cell):
        hidden_size = H

        def step(self, x, h):
            h = torch.tanh(h + x * torch.rand_like(x))
            return h, h

    class Gives(Cell):
        hidden_size = H

        def step(self, x, h):
            return x, h + x

    for cell in (Draws(), Gives()):
        layer, x = Recurrent(cell, backend="compiled"), torch.randn(B, H)
        warm(layer, x, torch.zeros(B, H), 20)
        assert id(layer) not in STEPS


def test_the_environment_may_name_the_reference(monkeypatch):
    monkeypatch.setenv("UNROLLED_BACKEND", "reference")
    layer, x = Recurrent(GRU(I, H)), torch.randn(B, I)
    warm(layer, x, torch.zeros(B, H), 20)
    assert id(layer) not in STEPS


def test_two_threads_at_once():
    layer, _, _ = ready(LSTM(I, 300))
    inputs = [torch.randn(40, B, I) for _ in range(4)]
    found = [None] * 4

    @torch.no_grad()
    def run(k):
        state, outputs = layer.initial_state(B), []
        for x in inputs[k]:
            output, state = layer.step(x, state)
            outputs.append(output)
        found[k] = torch.stack(outputs)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with torch.no_grad():
        for x, outputs in zip(inputs, found, strict=True):
            assert torch.equal(outputs, layer(x, layer.initial_state(B))[0])


FORK = """
import os, torch
from unrolled import Recurrent
from unrolled.cells import LSTM
torch.set_num_threads(2)
layer, x = Recurrent(LSTM(8, 300), backend="compiled"), torch.randn(1, 8)
with torch.no_grad():
    state = layer.initial_state(1)
    for _ in range(10): truth, _ = layer.step(x, state)
    if not os.fork():
        torch.set_num_threads(2)
        same = all(torch.equal(layer.step(x, state)[0], truth) for _ in range(10))
        os._exit(0 if same else 3)
    assert os.wait()[1] == 0
    assert torch.equal(layer.step(x, state)[0], truth)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_goes_on():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], env=environment, check=True, timeout=120)


def test_inside_torch_compile_the_operations_are_seen():
    layer, x, state = ready()
    with torch.no_grad():
        assert again(layer, x, state) is not None
        seen = []
        compiled = torch.compile(
            Recurrent(layer.cell).step, backend=lambda graph, _: seen.append(graph) or graph.forward
        )
        torch.testing.assert_close(compiled(x, state)[0], layer.step(x, state)[0])
    assert seen
