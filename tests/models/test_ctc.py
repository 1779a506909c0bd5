"""CTC: the loss against an enumeration of all paths, padding, subsampling, streams, every cell."""

import itertools
import math

import pytest
import torch

from small_cells import SMALL
from unrolled.cells import GRU, LSTM, RNN
from unrolled.core import InputError, InputTypeError
from unrolled.models import CTC, ctc_loss, needed_frames

T, B, F, V = 11, 5, 3, 4
LENGTHS = torch.tensor([11, 7, 0, 4, 10])
VALID = torch.arange(T)[:, None] < LENGTHS
TARGETS = torch.tensor([[1, 3, 2], [2, 2, -100], [99, 0, 0], [3, 0, 0], [0, 0, 0]])
COUNTS = torch.tensor([3, 2, 0, 1, 0])
SHAPES = [(1, False, False, 1), (2, True, True, 2), (3, True, False, 3), (2, False, True, 4)]


def make(shape=(2, True, False, 2), kind=GRU, **options):
    """A model of so many layers, both directions or one, residual or not, subsampling."""
    torch.manual_seed(0)
    layers, both, residual, subsampling = shape
    shape_of = {"num_layers": layers, "bidirectional": both, "residual": residual, "subsampling": subsampling}
    return CTC(F, lambda size: kind(size, 4), V, **shape_of, **options).double()


def frames(steps=T, rows=B):
    return torch.randn(steps, rows, F, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def poisoned(x):
    return torch.where(VALID[..., None], x, torch.full_like(x, torch.nan))


def collapse(path):
    return [symbol for symbol, _ in itertools.groupby(path) if symbol]


def brute_nats(y, target):
    """-log of the sum of the probabilities of all paths (T, V) that say the target."""
    each = itertools.product(range(y.shape[1]), repeat=len(y))
    said = [path for path in each if collapse(path) == target]
    return -math.log(math.fsum(math.exp(sum(float(y[t, symbol]) for t, symbol in enumerate(path))) for path in said))


def test_the_equation():
    model, x = make((2, True, False, 3)), frames()
    joined = torch.cat([x, torch.zeros(1, B, F, dtype=torch.double)])
    joined = torch.stack([torch.cat([*joined[t : t + 3]], -1) for t in range(0, 12, 3)])
    hidden, _ = model.layers(joined)
    expected = (hidden @ model.output.weight.T + model.output.bias).log_softmax(-1)
    found, lengths = model(x)
    torch.testing.assert_close(found, expected)
    assert lengths.tolist() == [4] * B


@pytest.mark.parametrize("kind", [GRU, LSTM, RNN])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_row_of_a_padded_batch_is_as_if_alone(shape, kind):
    model, x = make(shape, kind), frames()
    found, counts = model(poisoned(x), LENGTHS)
    assert counts.tolist() == [math.ceil(length / shape[-1]) for length in LENGTHS.tolist()]
    assert torch.equal(counts, model.output_lengths(LENGTHS))
    assert found.isfinite().all()
    for row, length in enumerate(LENGTHS.tolist()):
        alone, count = model(x[:length, row : row + 1])
        assert count.tolist() == [len(alone)] == [counts[row]]
        torch.testing.assert_close(found[: len(alone), row], alone[:, 0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_loss_is_the_sum_over_all_paths(steps, seed):
    y = torch.randn(steps, 1, V, dtype=torch.double, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    for count in range(4):
        for target in itertools.product(range(1, V), repeat=count):
            if int(needed_frames(target)) <= steps:
                found = ctc_loss(y, [steps], torch.tensor([target], dtype=torch.int64))
                assert math.isclose(float(found), brute_nats(y[:, 0], [*target]) / max(count, 1), rel_tol=1e-12)


def test_the_loss_of_a_batch_is_by_symbol():
    model, x = make(), frames()
    y, counts = (part.detach() for part in model(x, LENGTHS))
    each = [brute_nats(y[: counts[row], row], TARGETS[row, : COUNTS[row]].tolist()) for row in (0, 1, 3, 4)]
    torch.testing.assert_close(
        model.loss(poisoned(x), LENGTHS, TARGETS, COUNTS).item(), sum(each) / 6, rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_gradcheck(shape):
    model, x = make(shape), frames(9, 3).requires_grad_()

    def loss(*_):
        return model.loss(x, [9, 8, 0], TARGETS[:3], COUNTS[:3])

    assert torch.autograd.gradcheck(loss, x)
    assert torch.autograd.gradcheck(loss, [*model.parameters()], fast_mode=True)


def test_what_is_in_the_padding_changes_no_gradient():
    model, x = make(), frames()
    found, other = x.clone().requires_grad_(), poisoned(x).requires_grad_()
    model.loss(found, LENGTHS, TARGETS.clamp(0, 3), COUNTS).backward()
    of_one = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model.loss(other, LENGTHS, TARGETS, COUNTS).backward()
    assert torch.equal(found.grad, other.grad)
    assert torch.equal(found.grad[~VALID], torch.zeros_like(x[~VALID]))
    for a, p in zip(of_one, model.parameters(), strict=True):
        assert a.isfinite().all()
        assert torch.equal(a, p.grad)


def test_rows_without_frames_and_rows_without_symbols():
    model, x, none = make(), frames(), torch.zeros(B, dtype=torch.int64)
    for features in (torch.full_like(x, torch.nan), x[:0]):
        loss = model.loss(features, none, TARGETS, none)
        assert loss.item() == 0
        loss.backward()
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())
    y, counts = model(x, LENGTHS)
    silent = -sum(y[: counts[row], row, 0].sum() for row in range(B))
    torch.testing.assert_close(model.loss(x, LENGTHS, TARGETS[:, :0], none), silent)
    assert model.loss(x[:, :0], None, TARGETS[:0], None).item() == 0


def test_half_precision_has_its_loss_in_float32():
    y = torch.randn(9, 2, V).log_softmax(-1).bfloat16()
    assert ctc_loss(y, [9, 5], torch.tensor([[1, 2], [3, 3]])).dtype == torch.float32
    model = CTC(F, lambda size: GRU(size, 4), V).bfloat16()
    assert model(frames().bfloat16())[0].dtype == torch.float32


@pytest.mark.parametrize("target", [t for count in range(5) for t in itertools.product((1, 2), repeat=count)])
def test_needed_frames_are_those_of_the_shortest_path(target):
    lengths = (n for n in range(9) for path in itertools.product(range(3), repeat=n) if collapse(path) == [*target])
    shortest = next(lengths)
    assert int(needed_frames(target)) == shortest
    padded = torch.tensor([[*target, *[target[-1] if target else 7] * 3]])  # what pads it is not counted
    assert needed_frames(padded, [len(target)]).tolist() == [shortest]


def test_more_symbols_than_frames_is_told_with_the_row():
    model, x = make((1, False, False, 3)), frames()
    targets = torch.tensor([[1, 2, 3, 1], [1, 1, 0, 0], [0, 0, 0, 0], [1, 2, 0, 0], [2, 2, 2, 0]])
    model.loss(x, LENGTHS, targets[:, :2], [2, 2, 0, 2, 2])
    with pytest.raises(InputError) as told:
        model.loss(x, LENGTHS, targets, [4, 2, 0, 2, 3])
    assert "targets, row 4: expected at most as many symbols as 4 frames (after subsampling) can align" in str(
        told.value
    )
    assert "got 3 symbols, which need 5: one each, and one between equal neighbours." in str(told.value)
    assert "Leave the row out, or use a smaller subsampling." in str(told.value)


@pytest.mark.parametrize("subsampling", [1, 2, 3, 4])
@pytest.mark.parametrize("parts", [[29], [1] * 29, [0, 5, 0, 1, 2, 13, 7, 1], [3, 4, 22], [28, 1, 0]])
def test_a_stream_is_the_whole_to_the_bit(parts, subsampling):
    model, x = make((2, False, True, subsampling), LSTM, backend="compiled").eval(), frames(29, 3)
    assert sum(parts) == 29
    with torch.no_grad():
        whole, _ = model(x)
        state, made = model.start(3), []
        for part in x.split(parts):
            new, state = model.chunk(part, state)
            made.append(new)
        assert [len(new) for new in made] == [
            sum(parts[: k + 1]) // subsampling - sum(parts[:k]) // subsampling for k in range(len(parts))
        ]
        assert len(state.waiting) == 29 % subsampling
        made.append(model.finish(state))
    assert torch.equal(torch.cat(made), whole)


def test_a_stream_of_nothing():
    model = make((1, False, False, 2))
    assert model.finish(model.start(2)).shape == (0, 2, V)
    assert model(frames()[:0])[0].shape == (0, B, V)


def test_the_state_before_the_first_frame_may_be_given():
    model, x = make((2, False, False, 2)), frames(10)
    first, state = model.chunk(x[:6], model.start(B))
    second, _ = model(x[6:], state=state.layers)
    torch.testing.assert_close(torch.cat([first, second]), model(x)[0])


def stacked(name):
    """A cell of the table below another: its input is two joined frames of one number."""
    return lambda size: SMALL[name].make() if size == 2 else GRU(size, 3)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", [name for name in SMALL if name != "LTC"])  # whose input is a pair
def test_every_cell(name, both):
    torch.manual_seed(0)
    model = CTC(1, stacked(name), V, num_layers=2, bidirectional=both, subsampling=2).double()
    if name.endswith(("Zoneout of GRU", ", of LSTM", ", of Elman")):
        model.eval()
    x = frames()[..., :1].clone().requires_grad_()
    found, _ = model(poisoned(x), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = model(x[:length, row : row + 1])
        torch.testing.assert_close(found[: len(alone), row], alone[:, 0])
    loss = model.loss(poisoned(x), LENGTHS, TARGETS, COUNTS)
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.isfinite().all()
    assert gradient.any()
    if not both:
        state = model.start(B)
        first, state = model.chunk(x[:3], state)
        second, state = model.chunk(x[3:], state)
        torch.testing.assert_close(torch.cat([first, second, model.finish(state)]), model(x)[0])


@pytest.mark.parametrize("both", [False, True])
def test_kernels_give_what_the_reference_gives(both):
    losses = {}
    for backend in ("reference", "compiled"):
        model, x = make((2, both, True, 2), LSTM, backend=backend), frames().requires_grad_()
        loss = model.loss(x, LENGTHS, TARGETS, COUNTS)
        losses[backend] = [loss, *torch.autograd.grad(loss, [x, *model.parameters()])]
    for a, b in zip(*losses.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_dropout_is_on_the_frames_between_layers_and_before_the_output_in_training_only():
    model, x = make(dropout=1 - 1e-9), frames()
    bias = model.output.bias.log_softmax(-1)
    torch.testing.assert_close(model(x)[0], bias.expand(6, B, V))
    torch.testing.assert_close(model.eval()(x)[0], make()(x)[0])
    assert model.layers.dropout.p == 1 - 1e-9
    seen = []
    model.train().layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    assert not seen[0].any()


def test_wrong_arguments_are_told():
    for name, wrong in (("subsampling", 0), ("subsampling", -1)):
        with pytest.raises(InputError, match=f"{name}: expected at least 1, got {wrong}"):
            make((1, True, False, wrong))
    with pytest.raises(InputError, match="output_size: expected at least 2, the blank and a symbol, got 1"):
        CTC(F, lambda size: GRU(size, 4), 1)
    model, x = make(), frames()
    with pytest.raises(InputError, match=r"features: expected \(T, B, F\) with F = 3, got \(11, 5, 2\)"):
        model(x[..., :2])
    with pytest.raises(InputError, match="lengths: expected values from 0 to T = 11"):
        model(x, LENGTHS + 1)
    with pytest.raises(InputError, match="bidirectional=True; those need all frames"):
        model.start(3)
    with pytest.raises(InputError, match=r"targets: expected \(B, U\) with B = 5, got \(4, 3\)"):
        model.loss(x, LENGTHS, TARGETS[:4], COUNTS[:4])
    with pytest.raises(InputTypeError, match=r"targets: expected a tensor of whole numbers, got torch\.float32"):
        model.loss(x, LENGTHS, TARGETS.float(), COUNTS)
    with pytest.raises(InputError, match=r"target_lengths: expected values from 0 to U = 3, got 0 to 4"):
        model.loss(x, LENGTHS, TARGETS, [4, 2, 0, 1, 0])
    for wrong in (0, 4):
        with pytest.raises(InputError, match=rf"row 1: expected symbols from 1 to 3 \(0 .* got {wrong} at place 1"):
            model.loss(x, LENGTHS, torch.tensor([[1, 2], [2, wrong], [0, 0], [3, 0], [0, 0]]), [2, 2, 0, 1, 0])
    one_way = make((1, False, False, 2))
    with pytest.raises(InputError, match=r"features: expected \(K, B, F\) = \(K, 3, 3\), got \(11, 5, 3\)"):
        one_way.chunk(x, one_way.start(3))
