"""Every row of the table of equations comes out of the library, against explicit loops in numpy."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unrolled import InputError, InputTypeError, Recurrent, unroll
from unrolled.cells import GRU, LSTM, Elman, GeneralRNN, Jordan, OutputFeedback

close = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)
T, B = 6, 3


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def randomised(cell):
    """The cell in float64 with normal, asymmetric weights."""
    cell = cell.double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(rand(*parameter.shape))
    return cell


def arrays(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


# ---------------------------------------------------------------- dynamical systems


def test_autonomous_dynamical_system():
    theta = rand(2, 2).requires_grad_()
    s = s0 = rand(B, 2)
    states, last = unroll(lambda _, s: (torch.sin(s @ theta),) * 2, None, s0, steps=T)
    expected = []
    for _ in range(T):
        s = torch.sin(s @ theta)
        expected.append(s)
    close(states, torch.stack(expected))
    close(last, s)
    weights = rand(T, B, 2)
    (mine,) = torch.autograd.grad((states * weights).sum(), theta)
    (theirs,) = torch.autograd.grad((torch.stack(expected) * weights).sum(), theta)
    close(mine, theirs)


def test_autonomous_system_of_plain_numbers():
    orbit, _ = unroll(lambda _, s: (3.9 * s * (1 - s),) * 2, None, torch.tensor([0.5, 0.25]).double(), steps=50)
    s = np.array([0.5, 0.25])
    for t in range(50):
        s = 3.9 * s * (1 - s)
        np.testing.assert_array_equal(orbit[t].numpy(), s)


def test_driven_dynamical_system():
    x, s0 = rand(T, B, 2), rand(B, 2)

    def f(x, s):
        s = s + 0.1 * torch.stack([s[:, 1], -torch.sin(s[:, 0])], 1) + x
        return s, s

    states, _ = unroll(f, x, s0)
    s = s0.numpy()
    for t in range(T):
        s = s + 0.1 * np.stack([s[:, 1], -np.sin(s[:, 0])], 1) + x[t].numpy()
        close(states[t], torch.from_numpy(s))


# ---------------------------------------------------------------- a layer with no memory


def test_feedforward_layer_is_a_recurrent_layer_without_recurrent_weights():
    cell = randomised(GeneralRNN(4, 5, 2, nonlinearity="sigmoid"))
    with torch.no_grad():
        cell.weight_hh.zero_()
    x = rand(T, B, 4)
    y, _ = Recurrent(cell)(x)
    W = torch.cat([cell.bias[:, None], cell.weight_ih], 1)  # σ(W [1; x]), column vectors
    for t in range(T):
        for b in range(B):
            layer = torch.sigmoid(W @ torch.cat([torch.ones(1).double(), x[t, b]]))
            close(y[t, b], cell.weight_ho @ layer)


# ---------------------------------------------------------------- the general network


def test_general_rnn():
    K, L, M = 3, 5, 2
    cell = randomised(GeneralRNN(K, L, M, nonlinearity=torch.sin, output_nonlinearity="softmax"))
    shapes = {name: tuple(p.shape) for name, p in cell.named_parameters()}
    assert shapes == {"weight_ih": (L, K), "weight_hh": (L, L), "bias": (L,), "weight_ho": (M, L)}
    u, x0 = rand(T, B, K), rand(B, L)
    y, x_end = Recurrent(cell)(u, x0)
    W_in, W, b, W_out = arrays(cell.weight_ih, cell.weight_hh, cell.bias, cell.weight_ho)
    for row in range(B):
        x = x0[row].numpy()
        for n in range(T):
            x = np.sin(W @ x + W_in @ u[n, row].numpy() + b)
            close(y[n, row], torch.from_numpy(softmax(W_out @ x)))
        close(x_end[row], torch.from_numpy(x))


@pytest.mark.parametrize("sigma", ["tanh", "relu", "sigmoid", torch.sin])
def test_elman_is_the_state_form(sigma):
    cell = randomised(Elman(2, 4, nonlinearity=sigma))
    W_xs, W_ss, b_s = cell.weight_ih, cell.weight_hh, cell.bias_h
    f = sigma if callable(sigma) else getattr(torch, sigma)

    def state_form(x, s):
        s = f(s @ W_ss.T + x @ W_xs.T + b_s)
        return s, s

    x, s0 = rand(T, B, 2), rand(B, 4)
    for mine, theirs in zip(Recurrent(cell)(x, s0), unroll(state_form, x, s0), strict=True):
        close(mine, theirs)


def test_elman_with_softmax_output():
    cell = randomised(Elman(2, 4, output_size=3, output_nonlinearity="softmax"))
    x = rand(T, B, 2)
    y, h_end = Recurrent(cell)(x)
    W_xh, W_hh, b_h, W_hy, b_y = arrays(cell.weight_ih, cell.weight_hh, cell.bias_h, cell.weight_ho, cell.bias_o)
    h = np.zeros((B, 4))
    for t in range(T):
        h = np.tanh(x[t].numpy() @ W_xh.T + h @ W_hh.T + b_h)
        close(y[t], torch.from_numpy(softmax(h @ W_hy.T + b_y)))
    close(h_end, torch.from_numpy(h))


def test_unit_form_with_summed_cross_entropy_and_its_back_propagation_by_hand():
    H, O = 4, 5  # noqa: E741
    U, V, W = rand(H, 2).requires_grad_(), rand(O, H).requires_grad_(), rand(H, H).requires_grad_()
    b, c = rand(H).requires_grad_(), rand(O).requires_grad_()
    x, h0 = rand(T, B, 2).requires_grad_(), rand(B, H).requires_grad_()
    target = torch.randint(O, (T, B))

    def step(x, h):
        h = torch.tanh(b + h @ W.T + x @ U.T)
        return c + h @ V.T, h

    o, _ = unroll(step, x, h0)
    loss = F.cross_entropy(o.flatten(0, 1), target.flatten(), reduction="sum")
    loss.backward()

    cell = Elman(2, H, output_size=O).double()
    with torch.no_grad():
        for mine, its in zip((U, W, b, V, c), cell.parameters(), strict=True):
            its.copy_(mine)
    o_cell, _ = Recurrent(cell)(x.detach(), h0.detach())
    close(o_cell, o)
    F.cross_entropy(o_cell.flatten(0, 1), target.flatten(), reduction="sum").backward()
    for mine, its in zip((U, W, b, V, c), cell.parameters(), strict=True):
        close(mine.grad, its.grad)

    # by hand: dL/do = ŷ - onehot(y); dL/dh(t) = Vᵀ dL/do(t) + Wᵀ diag(1 - h(t+1)²) dL/dh(t+1)
    U_, V_, W_, b_, c_, x_, h_ = arrays(U, V, W, b, c, x, h0)
    hs, probabilities, total = [h_], [], 0.0
    for t in range(T):
        hs.append(np.tanh(b_ + hs[-1] @ W_.T + x_[t] @ U_.T))
        probabilities.append(softmax(c_ + hs[-1] @ V_.T))
        total -= np.log(probabilities[-1][np.arange(B), target[t].numpy()]).sum()
    assert loss.item() == pytest.approx(total, rel=1e-12)
    grads = {name: np.zeros_like(v) for name, v in zip("UVWbcx", (U_, V_, W_, b_, c_, x_), strict=True)}
    from_later = np.zeros((B, H))
    for t in reversed(range(T)):
        do = probabilities[t] - np.eye(O)[target[t].numpy()]
        da = (do @ V_ + from_later) * (1 - hs[t + 1] ** 2)
        grads["c"] += do.sum(0)
        grads["V"] += do.T @ hs[t + 1]
        grads["b"] += da.sum(0)
        grads["W"] += da.T @ hs[t]
        grads["U"] += da.T @ x_[t]
        grads["x"][t] = da @ U_
        from_later = da @ W_
    for name, tensor in zip("UVWbcx", (U, V, W, b, c, x), strict=True):
        close(tensor.grad, torch.from_numpy(grads[name]))
    close(h0.grad, torch.from_numpy(from_later))


def test_recurrent_layer_with_feedforward_output_after_k_steps():
    cell = randomised(Elman(2, 4, output_size=3, output_nonlinearity="sigmoid"))
    x = rand(T, B, 2)
    output = Recurrent(cell)(x)[0][-1]
    w_x, w_h, b_h, w_y, b_y = cell.parameters()
    h = torch.zeros(B, 4).double()  # h(0) = 0
    for t in range(T):
        h = torch.tanh(x[t] @ w_x.T + h @ w_h.T + b_h)
    expected = torch.sigmoid(h @ w_y.T + b_y)
    close(output, expected)
    weights = rand(B, 3)
    mine = torch.autograd.grad((output * weights).sum(), list(cell.parameters()))
    theirs = torch.autograd.grad((expected * weights).sum(), list(cell.parameters()))
    for a, b in zip(mine, theirs, strict=True):
        close(a, b)


# ---------------------------------------------------------------- the output is fed back


def test_recurrent_neuron():
    neuron = randomised(OutputFeedback(3, nonlinearity="sigmoid"))
    x = rand(T, B, 3)
    y, _ = Recurrent(neuron)(x)
    assert neuron.w_x.shape == (3, 1)
    w_x, w_y, b = neuron.w_x.detach().numpy()[:, 0], neuron.w_y.item(), neuron.bias.item()
    for row in range(B):
        fed_back = 0.0
        for t in range(T):
            fed_back = 1 / (1 + np.exp(-(np.dot(w_x, x[t, row].numpy()) + w_y * fed_back + b)))
            assert y[t, row, 0].item() == pytest.approx(fed_back, rel=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_layer_of_recurrent_neurons_on_row_vectors(bias):
    cell = randomised(OutputFeedback(2, 4, bias=bias))
    X, Y0 = rand(T, B, 2), rand(B, 4)
    outputs, last = Recurrent(cell)(X, Y0)
    W_x, W_y = arrays(cell.w_x, cell.w_y)
    b = cell.bias.detach().numpy() if bias else 0
    assert W_x.shape == (2, 4)
    Y = Y0.numpy()
    for t in range(T):
        Y = np.tanh(X[t].numpy() @ W_x + Y @ W_y + b)
        close(outputs[t], torch.from_numpy(Y))
    close(last, torch.from_numpy(Y))


@pytest.mark.parametrize("bias", [True, False])
def test_jordan(bias):
    cell = randomised(Jordan(2, 5, 3, nonlinearity="sigmoid", output_nonlinearity="tanh", bias=bias))
    x, y0 = rand(T, B, 2), rand(B, 3)
    outputs, state = Recurrent(cell)(x, y0)
    W, U, V = arrays(cell.weight_ih, cell.weight_oh, cell.weight_ho)
    b, c = arrays(cell.bias_h, cell.bias_o) if bias else (0, 0)
    for row in range(B):
        y = y0[row].numpy()
        for t in range(T):
            h = 1 / (1 + np.exp(-(W @ x[t, row].numpy() + U @ y + b)))
            y = np.tanh(V @ h + c)
            close(outputs[t, row], torch.from_numpy(y))
        close(state[row], torch.from_numpy(y))


# ---------------------------------------------------------------- gated memory, in the papers' letters


def test_lstm_gate_by_gate():
    cell = randomised(LSTM(2, 3))
    x = rand(T, B, 2)
    outputs, state = Recurrent(cell)(x)
    W, R, b, rb = arrays(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h, c = np.zeros((B, 3)), np.zeros((B, 3))
    for t in range(T):
        a = x[t].numpy() @ W.T + b + h @ R.T + rb
        i, f, g, o = a[:, :3], a[:, 3:6], a[:, 6:9], a[:, 9:]
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        close(outputs[t], torch.from_numpy(h))
    close(state.h, torch.from_numpy(h))
    close(state.c, torch.from_numpy(c))


def test_gru_gate_by_gate():
    cell = randomised(GRU(2, 3))
    x = rand(T, B, 2)
    outputs, _ = Recurrent(cell)(x)
    W, R, b, rb = arrays(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h = np.zeros((B, 3))
    for t in range(T):
        of_x, of_h = x[t].numpy() @ W.T + b, h @ R.T + rb
        r, z = sigmoid(of_x[:, :3] + of_h[:, :3]), sigmoid(of_x[:, 3:6] + of_h[:, 3:6])
        n = np.tanh(of_x[:, 6:] + r * of_h[:, 6:])
        h = (1 - z) * n + z * h
        close(outputs[t], torch.from_numpy(h))


# ---------------------------------------------------------------- unfolding and training


def test_gradient_of_a_shared_weight_is_the_sum_over_the_unfolded_steps():
    shared = rand(3, 3).requires_grad_()
    copies = [shared.detach().clone().requires_grad_() for _ in range(T)]
    x, h0, weights = rand(T, B, 3), rand(B, 3), rand(T, B, 3)
    folded, _ = unroll(lambda x, h: (torch.tanh(h @ shared + x),) * 2, x, h0)
    h, unfolded = h0, []
    for t in range(T):
        h = torch.tanh(h @ copies[t] + x[t])
        unfolded.append(h)
    (mine,) = torch.autograd.grad((folded * weights).sum(), shared)
    each = torch.autograd.grad((torch.stack(unfolded) * weights).sum(), copies)
    close(mine, torch.stack(each).sum(0))


@pytest.mark.parametrize("w", [0.5, 1.0, 1.5])
def test_gradients_vanish_and_explode_as_a_power_of_the_recurrent_weight(w):
    s0 = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    _, last = unroll(lambda _, s: (s, w * s), None, s0, steps=60)
    last.backward()
    assert s0.grad.item() == pytest.approx(w**60, rel=1e-12)


# ---------------------------------------------------------------- options of the cells

FUNCTIONS = {
    "identity": lambda a: a,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda a: torch.softmax(a, -1),
    "log_softmax": lambda a: torch.log_softmax(a, -1),
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "hardtanh": F.hardtanh,
    "sin": torch.sin,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("make", [Elman, GeneralRNN, Jordan])
def test_nonlinearities_by_name_and_by_function(make, name):
    by_name = make(2, 3, 4, nonlinearity=name, output_nonlinearity=name).double()
    function = FUNCTIONS[name]
    by_function = make(2, 3, 4, nonlinearity=function, output_nonlinearity=function).double()
    by_function.load_state_dict(by_name.state_dict())
    x = rand(T, B, 2)
    assert torch.equal(Recurrent(by_name)(x)[0], Recurrent(by_function)(x)[0])


def test_a_nonlinearity_with_parameters_keeps_its_own_initial_values_and_is_trained():
    cell = Elman(2, 3, nonlinearity=torch.nn.PReLU(init=0.25))
    assert cell.sigma.weight.item() == 0.25
    Recurrent(cell)(torch.randn(T, B, 2))[0].sum().backward()
    assert cell.sigma.weight.grad.item() != 0


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: Elman(3, 16, 5), 16),
        (lambda: GeneralRNN(3, 16, 5), 16),
        (lambda: Jordan(3, 16, 5), 16),
        (lambda: OutputFeedback(3, 16), 16),
        (lambda: LSTM(3, 16), 16),
        (lambda: GRU(3, 16), 16),
    ],
)
def test_initialisation_is_uniform_within_one_over_the_root_of_the_size(make, size):
    torch.manual_seed(3)
    cell = make()
    values = torch.cat([parameter.detach().flatten() for parameter in cell.parameters()])
    bound = size**-0.5
    assert values.abs().max() <= bound
    assert values.max() > 0.9 * bound
    assert values.min() < -0.9 * bound
    assert abs(values.mean()) < 0.15 * bound
    torch.manual_seed(3)
    again = torch.cat([parameter.detach().flatten() for parameter in make().parameters()])
    assert torch.equal(values, again)
    cell.reset_parameters()
    assert not torch.equal(values, torch.cat([p.detach().flatten() for p in cell.parameters()]))


@pytest.mark.parametrize("make", [Elman, GeneralRNN, Jordan])
def test_without_bias_there_is_none(make):
    names = [name for name, _ in make(2, 3, 4, bias=False).named_parameters()]
    assert names
    assert not [name for name in names if "bias" in name]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Elman(0, 3), "input_size: expected a whole number of at least 1, got 0."),
        (lambda: Elman(2, -1), "hidden_size: expected a whole number of at least 1, got -1."),
        (lambda: Elman(2, 3, 0), "output_size: expected a whole number of at least 1, got 0."),
        (lambda: Elman(2, 2.5), "hidden_size: expected a whole number of at least 1, got 2.5."),
        (lambda: GeneralRNN(2, 3, 0), "output_size: expected a whole number of at least 1, got 0."),
        (lambda: Jordan(2, 3, 0), "output_size: expected a whole number of at least 1, got 0."),
        (lambda: OutputFeedback(2, 0), "output_size: expected a whole number of at least 1, got 0."),
        (lambda: LSTM("2", 3), "input_size: expected a whole number of at least 1, got '2'."),
        (lambda: GRU(2, True), "hidden_size: expected a whole number of at least 1, got True."),
    ],
)
def test_sizes_below_one(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_unknown_nonlinearities():
    with pytest.raises(InputError, match=r"^nonlinearity: expected a function or one of .*tanh.*, got 'tahn'\.$"):
        Elman(2, 3, nonlinearity="tahn")
    with pytest.raises(InputError, match=r"^output_nonlinearity: expected .*, got 'max'\.$"):
        Jordan(2, 3, output_nonlinearity="max")
    with pytest.raises(InputTypeError, match=r"^nonlinearity: expected a name or a function .*, got int\.$"):
        GeneralRNN(2, 3, nonlinearity=3)
