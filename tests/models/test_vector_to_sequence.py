"""A vector that starts or conditions a sequence."""

import pytest
import torch
from torch import nn

from unrolled import Cell
from unrolled.cells import GRU, LSTM
from unrolled.core import InputError, leaves
from unrolled.models import VectorToSequence
from unrolled.models.vector_to_sequence import MODES

T, B, V, TOKENS = 6, 4, 3, 9
LENGTHS = torch.tensor([6, 2, 0, 5])
VALID = torch.arange(T)[:, None] < LENGTHS


class Odd(Cell):
    """Its state is a tuple of a matrix a row, which starts at ones, and a count."""

    def __init__(self, input_size):
        super().__init__()
        self.inner = nn.Linear(input_size, 2)

    def initial_state(self, batch_size, **_):
        return self.inner.weight.new_ones(batch_size, 2, 2), torch.zeros(batch_size, dtype=torch.int64)

    def step(self, x, state):
        matrix, count = state
        matrix = 0.5 * matrix + torch.tanh(self.inner(x)).unsqueeze(-1)
        return matrix.flatten(1), (matrix, count + 1)


CELLS = {"lstm": lambda size: LSTM(size, 5), "gru": lambda size: GRU(size, 5, learn_initial_state=True), "odd": Odd}


def make(mode="start", kind="lstm", tokens=True, **options):
    torch.manual_seed(0)
    embedding = nn.Embedding(TOKENS, 4) if tokens else None
    return VectorToSequence(V, CELLS[kind], TOKENS, mode=mode, embedding=embedding, **options).double()


def given(tokens=True):
    rng = torch.Generator().manual_seed(1)
    vector = torch.randn(B, V, dtype=torch.double, generator=rng)
    if tokens:
        return vector, torch.randint(TOKENS, (T, B), generator=rng)
    return vector, torch.randn(T, B, TOKENS, dtype=torch.double, generator=rng)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("mode", MODES)
def test_the_equation(mode, kind):
    model = make(mode, kind, num_layers=2)
    vector, tokens = given()
    x = model.embedding.weight[tokens]
    state = model.layers.initial_state(B)
    if mode != "condition":
        moves = vector @ model.start.weight.T + model.start.bias
        begun, used = [], 0
        for part in leaves(state):
            size = part[0].numel() if part.is_floating_point() else 0
            begun.append(part + moves[:, used : used + size].reshape(part.shape) if size else part)
            used += size
        assert used == moves.shape[1]
        torch.testing.assert_close(leaves(model.initial_state(vector)), begun)
        state = model.initial_state(vector)
    if mode != "start":
        x = torch.cat([x, vector.expand(T, B, V)], -1)
    hidden, _ = model.layers(x, state)
    expected = hidden @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(vector, tokens)[0], expected)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tokens", [True, False])
def test_step_by_step_and_in_parts_is_the_whole(mode, kind, tokens):
    model = make(mode, kind, tokens, num_layers=2)
    vector, inputs = given(tokens)
    whole, end = model(vector, inputs)
    first, state = model(vector, inputs[:2])
    second, state = model(vector, inputs[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(leaves(state), leaves(end))
    state = None
    for t in range(T):
        output, state = model.step(vector, inputs[t], state)
        torch.testing.assert_close(output, whole[t])


@pytest.mark.parametrize("mode", MODES)
def test_padding_changes_nothing(mode):
    model = make(mode)
    vector, tokens = given()
    outputs, end = model(vector, tokens.masked_fill(~VALID, -1), lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone, state = model(vector[row : row + 1], tokens[:length, row : row + 1])
            torch.testing.assert_close(outputs[:length, row], alone[:, 0])
            torch.testing.assert_close([part[row] for part in leaves(end)], [part[0] for part in leaves(state)])
    assert outputs.isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_gradients_reach_the_vector_and_every_parameter(mode):
    model = make(mode, "gru")
    vector, tokens = given()
    vector.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: model(v, tokens, lengths=LENGTHS)[0], vector)
    model(vector, tokens)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.parametrize("mode", MODES)
def test_what_is_generated_is_what_teacher_forcing_finds_likeliest(mode):
    model = make(mode).eval()
    vector, tokens = given()
    made, lengths = model.generate(vector, tokens[0], T)
    assert made.shape == (T, B)
    assert lengths.tolist() == [T] * B
    scores, _ = model(vector, torch.cat([tokens[:1], made[:-1]]))
    assert torch.equal(scores.argmax(-1), made)


def test_features_are_generated_too():
    model = make("both", tokens=False).eval()
    vector, x = given(tokens=False)
    made, _ = model.generate(vector, x[0], T)
    again, _ = model(vector, torch.cat([x[:1], made[:-1]]))
    torch.testing.assert_close(made, again)


def test_a_row_is_over_after_its_end_and_all_when_every_row_is():
    model = make().eval()
    vector, tokens = given()
    picks = iter([[3, 0, 5, 3], [0, 7, 7, 4], [8, 8, 0, 0], [1, 1, 1, 1]])
    made, lengths = model.generate(vector, tokens[0], 10, pick=lambda _: torch.tensor(next(picks)), end=0)
    assert made.tolist() == [[3, 0, 5, 3], [0, 0, 7, 4], [0, 0, 0, 0]]
    assert lengths.tolist() == [1, 0, 2, 2]


def test_draws_follow_the_seed():
    model = make().eval()
    vector, tokens = given()

    def drawn():
        torch.manual_seed(5)
        pick = lambda scores: torch.multinomial(scores.softmax(-1), 1).squeeze(1)  # noqa: E731
        return model.generate(vector, tokens[0], T, pick=pick)[0]

    assert torch.equal(drawn(), drawn())


def test_it_learns_which_sequence_belongs_to_which_vector():
    torch.manual_seed(0)
    vector = torch.eye(3)
    texts = torch.tensor([[1, 2, 3, 4, 0], [4, 4, 1, 1, 0], [2, 0, 0, 0, 0]]).T
    inputs = torch.cat([torch.zeros(1, 3, dtype=torch.int64), texts[:-1]])
    model = VectorToSequence(3, lambda size: GRU(size, 16), 5, embedding=nn.Embedding(5, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        scores, _ = model(vector, inputs)
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores.flatten(0, 1), texts.flatten()).backward()
        optimizer.step()
    made, lengths = model.generate(vector, inputs[0], 5, end=0)
    assert torch.equal(made, texts)
    assert lengths.tolist() == [4, 4, 1]


def test_wrong_arguments_are_told():
    with pytest.raises(InputError, match="mode: expected one of start, condition, both, got 'end'"):
        make("end")
    with pytest.raises(InputError, match="input_size: expected the features of the embedding's result"):
        VectorToSequence(V, CELLS["gru"], TOKENS, embedding=nn.Linear(TOKENS, 3))
    vector, tokens = given()
    for mode in MODES:
        model = make(mode)
        for wrong in (vector[:-1], vector[:, :-1], vector[0]):
            with pytest.raises(InputError, match=r"vector: expected \(B, vector_size\) = \(4, 3\), got"):
                model(wrong, tokens)
    with pytest.raises(InputError, match="steps: expected at least 1, got 0"):
        make().generate(vector, tokens[0], 0)
