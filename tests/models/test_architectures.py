"""One answer a step, one a sequence: against the equations, over every cell, depth, direction and padding."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from unrolled import Cell
from unrolled.cells import GRU, LSTM, RNN, Elman
from unrolled.core import InputError, leaves
from unrolled.models import SequenceToSequence, SequenceToVector
from unrolled.models.pooling import POOLINGS

T, B, I = 7, 5, 3  # noqa: E741
LENGTHS = torch.tensor([7, 4, 1, 0, 6])
VALID = torch.arange(T)[:, None] < LENGTHS
CELLS = {"elman": Elman, "rnn": RNN, "lstm": LSTM, "gru": GRU}
SHAPES = [(1, False, False), (2, False, True), (2, True, False), (3, True, True)]  # layers, both directions, residual


def factory(kind="gru", size=4):
    if kind == "elman":
        return lambda inputs: Elman(inputs, size, size)
    return lambda inputs: CELLS[kind](inputs, size)


def make(model, kind="gru", shape=(1, False, False), outputs=2, **options):
    torch.manual_seed(0)
    layers, both, residual = shape
    made = model(I, factory(kind), outputs, num_layers=layers, bidirectional=both, residual=residual, **options)
    return made.double()


def features():
    return torch.randn(T, B, I, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def poisoned(x, valid=VALID):
    return torch.where(valid[..., None], x, torch.full_like(x, torch.nan))


def gradients(model, loss):
    return torch.autograd.grad(loss, [*model.parameters()], allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CELLS)
def test_each_row_of_a_padded_batch_is_as_if_alone(kind, shape):
    model, x = make(SequenceToSequence, kind, shape), features()
    outputs, _ = model(poisoned(x), lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone, _ = model(x[:length, row : row + 1])
            torch.testing.assert_close(outputs[:length, row : row + 1], alone)
        assert torch.equal(outputs[length:, row], model.output.bias.expand(T - length, 2))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CELLS)
def test_each_vector_of_a_padded_batch_is_as_if_alone(kind, shape, pooling):
    model, x = make(SequenceToVector, kind, shape, pooling=pooling), features()
    made = model(poisoned(x), lengths=LENGTHS)
    assert made.shape == (B, 2)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model(x[:length, row : row + 1])[0] if length else model.output.bias
        torch.testing.assert_close(made[row], alone)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("both", [False, True])
def test_what_is_in_the_padding_changes_no_gradient(pooling, both):
    model, x = make(SequenceToVector, shape=(2, both, False), pooling=pooling), features()
    found, other = (x.clone().requires_grad_(), poisoned(x).requires_grad_())
    for given in (found, other):
        model(given, lengths=LENGTHS).square().sum().backward()
    assert torch.equal(found.grad, other.grad)
    assert torch.equal(found.grad[~VALID], torch.zeros_like(x[~VALID]))
    of_one, of_other = (gradients(model, model(given, lengths=LENGTHS).square().sum()) for given in (x, poisoned(x)))
    for a, b in zip(of_one, of_other, strict=True):
        assert a.isfinite().all()
        assert torch.equal(a, b)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_batch_of_nothing_but_empty_rows_has_finite_gradients(pooling):
    model = make(SequenceToVector, shape=(1, True, False), pooling=pooling)
    x = torch.full((T, B, I), torch.nan, dtype=torch.double, requires_grad=True)
    made = model(x, lengths=torch.zeros(B, dtype=torch.int64))
    assert torch.equal(made, model.output.bias.expand(B, 2))
    made.sum().backward()
    for tensor in (x, *model.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_pooled_vector_is_the_one_of_its_equation(pooling):
    model, x = make(SequenceToVector, shape=(1, True, False), pooling=pooling), features()
    hidden, _ = model.layers(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        h = hidden[:length, row]
        if not length:
            expected = torch.zeros(8, dtype=torch.double)
        elif pooling == "last":
            expected = torch.cat([h[-1, :4], h[0, 4:]])
        elif pooling == "mean":
            expected = h.mean(0)
        elif pooling == "max":
            expected = h.max(0).values
        else:
            inner, _, query = model.pooling.query
            scores = torch.tanh(h @ inner.weight.T + inner.bias) @ query.weight[0]
            expected = scores.softmax(0) @ h
        torch.testing.assert_close(model.features(x, lengths=LENGTHS)[row], expected)


def test_the_last_vector_is_the_last_state():
    model, x = make(SequenceToVector, shape=(1, True, False)), features()
    _, ((ahead, back),) = model.layers(x, lengths=LENGTHS)
    torch.testing.assert_close(model.features(x, lengths=LENGTHS), torch.cat([ahead, back], -1))
    _, ((ahead, back),) = model.layers(x)
    torch.testing.assert_close(model.features(x), torch.cat([ahead, back], -1))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_mask_with_holes_leaves_those_steps_out(pooling):
    model, x = make(SequenceToVector, shape=(2, True, True), pooling=pooling), features()
    mask = torch.tensor([0, 1, 1, 0, 1, 0, 1], dtype=torch.bool)[:, None].expand(T, B)
    torch.testing.assert_close(model(poisoned(x, mask), mask=mask), model(x[mask[:, 0]]))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradcheck(pooling):
    model, x = make(SequenceToVector, "lstm", (1, True, False), pooling=pooling), features().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: model(given, lengths=LENGTHS), x)


def test_tokens_go_through_the_embedding_whatever_pads_them():
    for model in (SequenceToSequence, SequenceToVector):
        made = make(model, embedding=nn.Embedding(11, I))
        tokens = torch.randint(11, (T, B), generator=torch.Generator().manual_seed(2))
        plain = make(model)
        plain.load_state_dict({k: v for k, v in made.state_dict().items() if not k.startswith("embedding")})
        vectors = made.embedding.weight[tokens]
        padded = tokens.masked_fill(~VALID, -100)
        for a, b in zip(leaves(made(padded, lengths=LENGTHS)), leaves(plain(vectors, lengths=LENGTHS)), strict=True):
            assert torch.equal(a, b)


class _Both(nn.Module):
    """A word's vector beside its features."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 2)

    def forward(self, x):
        words, shape = x
        return torch.cat([self.words(words), shape], -1)


def test_an_embedding_may_take_a_tuple():
    model = make(SequenceToSequence, embedding=_Both())
    tokens, shape = torch.randint(11, (T, B)), features()[..., :1]
    x = tokens.masked_fill(~VALID, 99), poisoned(shape)
    outputs, _ = model(x, lengths=LENGTHS)
    assert outputs.isfinite().all()
    torch.testing.assert_close(outputs[VALID], model((tokens, shape), lengths=LENGTHS)[0][VALID])


@pytest.mark.parametrize("kind", CELLS)
def test_a_sequence_in_parts_and_step_by_step_is_the_whole(kind):
    model, x = make(SequenceToSequence, kind, (2, False, True)), features()
    whole, end = model(x)
    first, state = model(x[:3], model.initial_state(B))
    second, state = model(x[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(leaves(state), leaves(end))
    state = None
    for t in range(T):
        output, state = model.step(x[t], state)
        torch.testing.assert_close(output, whole[t])


def test_a_reset_starts_anew():
    model, x = make(SequenceToSequence, shape=(2, False, False)), features()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[3] = True
    torch.testing.assert_close(model(x, reset=reset)[0][3:], model(x[3:])[0])


@pytest.mark.parametrize("model", [SequenceToSequence, SequenceToVector])
def test_dropout_is_on_the_input_between_layers_and_before_the_output_in_training_only(model):
    made, x = make(model, shape=(2, False, False), dropout=1 - 1e-9), features()
    assert not leaves(made.features(x))[0].abs().max()
    made.eval()
    plain = make(model, shape=(2, False, False))
    torch.testing.assert_close(leaves(made(x))[0], leaves(plain(x))[0])
    seen = []
    made.train()
    made.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made(x)
    assert not seen[0].abs().max()


class _Pair(NamedTuple):
    total: torch.Tensor
    count: torch.Tensor


class _Counting(Cell):
    """A cell of one's own, whose state is a pair, one of them whole numbers."""

    def __init__(self, input_size):
        super().__init__()
        self.input_size = input_size
        self.inner = nn.Linear(input_size, 4)

    def initial_state(self, batch_size, **_):
        like = self.inner.weight
        return _Pair(like.new_ones(batch_size, 4), torch.zeros(batch_size, 1, dtype=torch.int64))

    def step(self, x, state):
        total = state.total + torch.tanh(self.inner(x))
        return total / (state.count + 2), _Pair(total, state.count + 1)


@pytest.mark.parametrize("model", [SequenceToSequence, SequenceToVector])
def test_a_cell_of_ones_own(model):
    made = model(I, _Counting, 2, num_layers=2).double()
    x = features()
    for a, b in zip(leaves(made(poisoned(x), lengths=LENGTHS)), leaves(made(x, lengths=LENGTHS)), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()


@pytest.mark.parametrize("model", [SequenceToSequence, SequenceToVector])
def test_wrong_arguments_are_told(model):
    with pytest.raises(InputError, match="output_size: expected at least 1, got 0"):
        make(model, outputs=0)
    with pytest.raises(InputError, match=r"dropout: expected a probability from 0 to 1, got 1\.5"):
        make(model, dropout=1.5)
    made = make(model)
    with pytest.raises(InputError, match=r"x: expected \(T, B, \.\.\.\), got \(7,\)"):
        made(torch.zeros(7, dtype=torch.double))
    with pytest.raises(InputError, match=r"lengths: expected values from 0 to T = 7"):
        made(features(), lengths=LENGTHS + 1)
    with pytest.raises(InputError, match=r"embedding: expected a module from x to features .* got \(7, 5\)"):
        make(model, embedding=nn.Identity())(torch.zeros(T, B, dtype=torch.double))


def test_a_wrong_pooling_is_told():
    with pytest.raises(InputError, match="pooling: expected one of last, mean, max, attention, got 'sum'"):
        make(SequenceToVector, pooling="sum")


def test_steps_of_both_directions_are_refused():
    with pytest.raises(InputError, match="bidirectional=True"):
        make(SequenceToSequence, shape=(1, True, False)).step(features()[0])
