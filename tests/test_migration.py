"""docs/migration.md: its function for weights of Keras, against numbers that Keras computed.

The numbers below were printed by ``KERAS_BACKEND=torch python tests/test_migration.py`` with Keras 3.15.1.
"""

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import unrolled
from unrolled import Cell, Recurrent, cells

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
B, T, I, H = 2, 3, 3, 2  # noqa: E741
LENGTHS = [3, 1]
SHAPES = {  # of the weights of each layer of Keras
    "lstm": [(I, 4 * H), (H, 4 * H), (4 * H,)],
    "gru": [(I, 3 * H), (H, 3 * H), (2, 3 * H)],
    "gru_reset_before": [(I, 3 * H), (H, 3 * H), (3 * H,)],
    "rnn": [(I, H), (H, H), (H,)],
    "both_directions": 2 * [(I, 4 * H), (H, 4 * H), (4 * H,)],
}
NUMBERS = {  # of each kind: outputs (B, T, ...), and the states at the ends of rows of LENGTHS
    "lstm": (
        [
            [[0.031258, 0.072381], [0.28134, 0.085755], [-0.012969, 0.277427]],
            [[0.191607, 0.059531], [-0.113979, 0.207156], [-0.253893, 0.13513]],
        ],
        [[[-0.012969, 0.277427], [0.191607, 0.059531]], [[-0.014667, 0.439129], [0.652633, 0.309831]]],
    ),
    "gru": (
        [
            [[0.040208, 0.405706], [0.208153, 0.381164], [0.065616, 0.436633]],
            [[0.099549, 0.681899], [-0.028598, 0.513489], [-0.056855, 0.612148]],
        ],
        [[[0.065616, 0.436633], [0.099549, 0.681899]]],
    ),
    "gru_reset_before": (
        [
            [[0.058512, 0.268468], [0.304496, 0.149226], [0.001588, 0.189924]],
            [[0.163049, 0.540348], [-0.156344, 0.429884], [-0.205552, 0.505758]],
        ],
        [[[0.001588, 0.189924], [0.163049, 0.540348]]],
    ),
    "rnn": (
        [
            [[0.785562, 0.312356], [0.44227, 0.779305], [0.961492, 0.801939]],
            [[0.310183, -0.055941], [0.698562, 0.92103], [0.957463, 0.560057]],
        ],
        [[[0.961492, 0.801939], [0.310183, -0.055941]]],
    ),
    "both_directions": (
        [
            [
                [0.031258, 0.072381, 0.180489, 0.119652],
                [0.28134, 0.085755, 0.079023, 0.121365],
                [-0.012969, 0.277427, 0.257519, 0.093092],
            ],
            [
                [0.191607, 0.059531, 0.115293, 0.116217],
                [-0.113979, 0.207156, 0.169991, 0.07297],
                [-0.253893, 0.13513, 0.099904, 0.129337],
            ],
        ],
        [
            [[-0.012969, 0.277427], [0.191607, 0.059531]],
            [[-0.014667, 0.439129], [0.652633, 0.309831]],
            [[0.180489, 0.119652], [0.047579, -0.079537]],
            [[0.432239, 0.272064], [0.226725, -0.14384]],
        ],
    ),
}


def from_keras(*arguments):
    """The function as it stands on the page."""
    examples = doctest.DocTestParser().get_examples(PAGE.read_text(encoding="utf-8"))
    (source,) = (example.source for example in examples if example.source.startswith("def from_keras"))
    names = {"np": np, "torch": torch}
    exec(compile(source, str(PAGE), "exec"), names)
    return names["from_keras"](*arguments)


def numbers(start, *shape):
    return np.sin(1.3 * np.arange(np.prod(shape)) + start).reshape(shape).astype(np.float32)


def weights(kind):
    return [numbers(0.5 * place, *shape) for place, shape in enumerate(SHAPES[kind])]


def state_dict(kind):
    if kind == "both_directions":
        return from_keras(weights(kind)[:3]) | from_keras(weights(kind)[3:], "l0_reverse")
    return from_keras(weights(kind))


X = torch.from_numpy(numbers(0.2, B, T, I))


def layer_of(library, kind):
    if kind == "gru_reset_before":
        return library.GRU(I, H, batch_first=True, reset_after=False)
    if kind == "both_directions":
        return library.LSTM(I, H, batch_first=True, bidirectional=True)
    return getattr(library, kind.upper())(I, H, batch_first=True)


class ResetBefore(Cell):
    """The gated recurrent unit of Cho et al. 2014, whose reset gate stands inside the product."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        for name, size in (("weight_ih", input_size), ("weight_hh", hidden_size)):
            setattr(self, name, torch.nn.Parameter(torch.zeros(3 * hidden_size, size)))
        for name in ("bias_ih", "bias_hh"):
            setattr(self, name, torch.nn.Parameter(torch.zeros(3 * hidden_size)))

    def step(self, x, h):
        r_x, z_x, n_x = F.linear(x, self.weight_ih, self.bias_ih).chunk(3, -1)
        w_r, w_z, w_n = self.weight_hh.chunk(3)
        b_r, b_z, b_n = self.bias_hh.chunk(3)
        r = torch.sigmoid(r_x + F.linear(h, w_r, b_r))
        z = torch.sigmoid(z_x + F.linear(h, w_z, b_z))
        n = torch.tanh(n_x + F.linear(r * h, w_n, b_n))
        h = (1 - z) * n + z * h
        return h, h


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=2e-6)  # the numbers have six digits


def compare_ends(states, kind):
    """``states``: one tensor (B, H) each, in Keras's order."""
    assert len(states) == len(NUMBERS[kind][1])
    for state, expected in zip(states, NUMBERS[kind][1], strict=True):
        close(state, expected)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "both_directions"])
def test_weights_of_keras_in_torch(kind):
    layer = layer_of(torch.nn, kind)
    layer.load_state_dict(state_dict(kind))
    close(layer(X)[0].detach(), NUMBERS[kind][0])


@pytest.mark.parametrize("kind", list(SHAPES))
def test_weights_of_keras_in_the_drop_ins(kind):
    layer = layer_of(unrolled.nn, kind)
    layer.load_state_dict(state_dict(kind))
    close(layer(X)[0].detach(), NUMBERS[kind][0])
    _, end = layer(X, lengths=LENGTHS)
    ends = (
        zip(*end, strict=True) if isinstance(end, tuple) else [end]
    )  # Keras: h and c of one direction, then the other
    compare_ends([state.detach() for direction in ends for state in direction], kind)


@pytest.mark.parametrize(
    ("kind", "cell"), [("lstm", cells.LSTM), ("gru", cells.GRU), ("gru_reset_before", ResetBefore)]
)
def test_weights_of_keras_in_cells(kind, cell):
    layer = Recurrent(cell(I, H), batch_first=True)
    layer.cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in state_dict(kind).items()})
    close(layer(X)[0].detach(), NUMBERS[kind][0])
    _, end = layer(X, lengths=LENGTHS)
    compare_ends([state.detach() for state in (end if isinstance(end, tuple) else [end])], kind)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_weights_without_bias(kind):
    with_bias = weights(kind)
    found = from_keras(with_bias[:2])
    zeros = from_keras([*with_bias[:2], np.zeros_like(with_bias[2])])
    assert set(found) == {"weight_ih_l0", "weight_hh_l0"}
    assert all(torch.equal(found[name], zeros[name]) for name in found)
    assert not any(zeros[name].any() for name in ("bias_ih_l0", "bias_hh_l0"))


def test_a_second_bias_of_its_own():
    bias = numbers(0.9, 2, 3 * H)
    found = from_keras([*weights("gru")[:2], bias])
    z_r_h = [2, 3, 0, 1, 4, 5]  # rows of z and r change places
    assert found["bias_ih_l0"].tolist() == bias[0, z_r_h].tolist()
    assert found["bias_hh_l0"].tolist() == bias[1, z_r_h].tolist()


def by_keras(kind):
    """The numbers of one kind, computed by Keras with its torch backend."""
    import keras

    every = {"return_sequences": True, "return_state": True}
    layer = {
        "lstm": lambda: keras.layers.LSTM(H, **every),
        "gru": lambda: keras.layers.GRU(H, **every),
        "gru_reset_before": lambda: keras.layers.GRU(H, reset_after=False, **every),
        "rnn": lambda: keras.layers.SimpleRNN(H, **every),
        "both_directions": lambda: keras.layers.Bidirectional(keras.layers.LSTM(H, **every)),
    }[kind]()
    layer.build(X.shape)
    layer.set_weights(weights(kind))
    mask = np.arange(T) < np.array(LENGTHS)[:, None]
    x = keras.ops.convert_to_tensor(X.numpy())
    outputs, (_, *ends) = layer(x)[0], layer(x, mask=keras.ops.convert_to_tensor(mask))

    def rounded(tensor):  # its torch backend gives tensors of torch
        return tensor.detach().double().numpy().round(6).tolist()

    return rounded(outputs), [rounded(end) for end in ends]


@pytest.mark.parametrize("kind", list(SHAPES))
def test_the_numbers_are_those_of_keras(kind, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    outputs, ends = by_keras(kind)
    close(torch.tensor(outputs), NUMBERS[kind][0])
    compare_ends([torch.tensor(end) for end in ends], kind)


if __name__ == "__main__":
    for kind in SHAPES:
        print(f"{kind!r}: {by_keras(kind)},")
