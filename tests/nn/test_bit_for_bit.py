"""The same bits however a sequence is cut, in whatever batch a row stands, with one thread or two.

With ``-rP`` pytest shows how many of these checks torch.nn's modules hold.
"""

import pytest
import torch

from unrolled import Recurrent, cells

from .pairs import CELLS, KINDS, leaves, pair

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch, of its own
SIZES = [  # T, B, I, H
    (40, 1, 10, 64),
    (13, 2, 7, 7),
    (40, 5, 30, 100),
    (9, 33, 100, 200),
    (20, 16, 33, 64),
]
OTHERS = [cells.LSTM, cells.GRU, cells.RNN, cells.Elman, cells.Jordan]


@pytest.fixture(autouse=True)
def _threads():
    torch.manual_seed(31)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def same(found, expected):
    """Whether all tensors of two results have the same bits."""
    return all(torch.equal(a, b) for a, b in zip(leaves(found), leaves(expected), strict=True))


def run(module, x, state=None):
    with torch.no_grad():
        return module(x, state)


def in_chunks(module, x, cuts):
    outputs, state = [], None
    for chunk in x.split(cuts):
        output, state = run(module, chunk, state)
        outputs.append(output)
    return torch.cat(outputs), state


def row_of(results, row):
    """One row of outputs and states in torch's form."""
    return [leaf[:, row : row + 1] for leaf in leaves(results)]


def threads(module, x, _):
    """One thread and two: results, and every gradient."""
    made = []
    for count in (1, 2):
        torch.set_num_threads(count)
        watched = x.clone().requires_grad_()
        results = module(watched)
        wanted = [watched, *module.parameters()]
        made.append([*leaves(results), *torch.autograd.grad(results[0].square().sum(), wanted)])
    return same(*made)


def chunks(module, x, _):
    """A sequence whole, and in chunks of several lengths."""
    steps = len(x)
    return same(in_chunks(module, x, [1, steps // 3, steps - 1 - steps // 3]), run(module, x))


def steps(module, x, _):
    """A sequence whole, and step by step."""
    return same(in_chunks(module, x, 1), run(module, x))


def rows(module, x, _):
    """Each row alone, and in the batch; in half of the batch."""
    whole, size = run(module, x), x.shape[1]
    alone = all(same(run(module, x[:, row : row + 1]), row_of(whole, row)) for row in range(size))
    half = (size + 1) // 2
    return alone and same(run(module, x[:, :half]), [leaf[:, :half] for leaf in leaves(whole)])


def loop(module, x, cell):
    """A sequence whole, and a loop over the class of one step."""
    outputs, state = [], None
    with torch.no_grad():
        for value in x:
            state = cell(value, state)
            outputs.append(leaves(state)[0])
    return same([torch.stack(outputs), *[leaf.unsqueeze(0) for leaf in leaves(state)]], run(module, x))


LAWS = {law.__name__: law for law in (threads, chunks, steps, rows, loop)}
CHECKS = [
    (kind, law, sizes) for kind in KINDS for law in LAWS for sizes in SIZES if law != "loop" or kind in CELLS
]  # 120


def held(kind, law, sizes):
    """Whether ours holds a law, and whether torch's module does."""
    steps, batch, width, hidden = sizes
    modules = pair(kind, width, hidden)
    singles = (None, None)
    if kind in CELLS:
        singles = pair(kind, width, hidden, table=CELLS)
        for module, single in zip(modules, singles, strict=True):
            single.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})
    x = torch.randn(steps, batch, width)
    return [LAWS[law](module, x, single) for module, single in zip(modules, singles, strict=True)]


def test_there_are_120_checks():
    assert len(CHECKS) == 120


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_bits(kind, law):
    checks = [check for check in CHECKS if check[:2] == (kind, law)]
    if kind == "lstm_proj" and law == "loop":
        assert not checks  # torch has no cell with a projection
        return
    results = [held(*check) for check in checks]
    mine, theirs = zip(*results, strict=True)
    print(f"{law} of {kind}: ours {sum(mine)}, torch.nn {sum(theirs)} of {len(checks)}")
    assert [check for check, is_held in zip(checks, mine, strict=True) if not is_held] == []


@pytest.mark.parametrize("kind", KINDS)
def test_bits_of_two_layers_in_both_directions(kind):
    mine, _ = pair(kind, 11, 21, num_layers=2, bidirectional=True)
    x = torch.randn(9, 6, 11)
    assert threads(mine, x, None)
    assert rows(mine, x, None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_with_and_without_gradients(kind):
    mine, _ = pair(kind, 11, 50)
    x = torch.randn(9, 6, 11)
    assert same(mine(x), run(mine, x))


@pytest.mark.parametrize("make", OTHERS)
def test_bits_of_the_cells(make):
    sizes = (11, 50, 5) if make is cells.Jordan else (11, 50)
    layer, x = Recurrent(make(*sizes)), torch.randn(9, 6, 11)
    with torch.no_grad():
        outputs, end = layer(x)
        assert same(in_chunks(layer, x, [2, 7]), (outputs, end))
        assert same(in_chunks(layer, x, 1), (outputs, end))
        alone = layer(x[:, 4:5])
    assert same(alone, (outputs[:, 4:5], [leaf[4:5] for leaf in leaves(end)]))
