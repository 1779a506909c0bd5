"""``step``: one time step at a time is the whole sequence."""

import pytest
import torch

from unrolled import Cell, Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman, LSTMState

T, B, I, H = 6, 3, 2, 4  # noqa: E741
BACKENDS = ["reference", "compiled"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def stream(layer, x, state=None):
    outputs = []
    for t in range(len(x)):
        output, state = layer.step(x[t], state)
        outputs.append(output)
    return torch.stack(outputs), state


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", [LSTM, GRU, Elman])
def test_step_by_step_gives_the_same_bits_as_the_whole(cell, backend):
    layer, x = Recurrent(cell(I, H), backend=backend), torch.randn(T, B, I)
    with torch.no_grad():
        outputs, end = stream(layer, x)
        expected, expected_end = layer(x)
    assert torch.equal(outputs, expected)
    torch.testing.assert_close(end, expected_end, rtol=0, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_flow_from_step_to_step(backend):
    layer, x = Recurrent(LSTM(I, H).double(), backend=backend), torch.randn(T, B, I).double()
    state = LSTMState(torch.randn(B, H).double().requires_grad_(), torch.randn(B, H).double().requires_grad_())
    results = []
    for outputs, end in (stream(layer, x, state), layer(x, state)):
        loss = outputs.square().sum() + end.c.sum()
        results.append([outputs, end.h, *torch.autograd.grad(loss, [*state, *layer.parameters()])])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_first_means_nothing_to_a_step(backend):
    cell, x = GRU(I, H), torch.randn(B, I)
    output, end = Recurrent(cell, batch_first=True, backend=backend).step(x)
    expected, expected_end = Recurrent(cell, backend=backend).step(x)
    assert torch.equal(output, expected)
    assert torch.equal(end, expected_end)
    assert output.shape == (B, H)


class Pairs(Cell):
    """Trees in, trees out; a learnt start."""

    def __init__(self):
        super().__init__()
        self.start = torch.nn.Parameter(torch.randn(2))

    def initial_state(self, batch_size):
        return self.start.expand(batch_size, -1), torch.zeros(batch_size)

    def step(self, x, state):
        value, weight = x
        h, count = state
        h = torch.tanh(h + value * weight[:, None])
        return (h, (count + h.sum(-1),)), (h, count + 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_trees(backend):
    layer, x = Recurrent(Pairs(), backend=backend), (torch.randn(T, B, 2), torch.randn(T, B))
    (values, (sums,)), (h, count) = layer(x)
    state = None
    for t in range(T):
        (value, (total,)), state = layer.step((x[0][t], x[1][t]), state)
        torch.testing.assert_close(value, values[t])
        torch.testing.assert_close(total, sums[t])
    torch.testing.assert_close(state, (h, count))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_system_without_input(backend):
    class Halving(Cell):
        def step(self, _, h):
            return h, h / 2

    layer = Recurrent(Halving(), backend=backend)
    output, state = layer.step(None, torch.tensor([[8.0]]))
    output, state = layer.step(None, state)
    assert output.tolist() == [[4]]
    assert state.tolist() == [[2]]


@pytest.mark.parametrize("options", [{"checkpoint_every": 2}, {"return_all_states": True}])
def test_options_of_sequences_do_not_concern_a_step(options):
    cell, x = GRU(I, H), torch.randn(B, I)
    output, state = Recurrent(cell, **options).step(x)
    expected, expected_state = Recurrent(cell).step(x)
    assert torch.equal(output, expected)
    assert torch.equal(state, expected_state)


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one(rows):
    output, end = Recurrent(LSTM(I, H)).step(torch.randn(rows, I))
    assert output.shape == end.h.shape == end.c.shape == (rows, H)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stack_steps_through_its_layers(backend):
    stack = Stack([LSTM(I, H), GRU(H, H), GRU(H, 3)], residual=True, dropout=0.5, batch_first=True, backend=backend)
    stack.eval()
    x = torch.randn(B, T, I)
    outputs, ends = stream(stack, x.transpose(0, 1))
    expected, expected_ends = stack(x)
    torch.testing.assert_close(outputs.transpose(0, 1), expected)
    torch.testing.assert_close(ends, expected_ends)


def test_a_stack_drops_between_its_layers_in_training_only():
    class Pass(Cell):
        hidden_size = 1

        def step(self, x, h):
            return x, h

    stack, x = Stack([Pass(), Pass()], dropout=0.5), torch.ones(8, 16)
    assert set(stack.step(x)[0].unique().tolist()) == {0.0, 2.0}
    assert torch.equal(stack.eval().step(x)[0], x)
    assert torch.equal(Stack([Pass()], dropout=0.5).step(x)[0], x)
