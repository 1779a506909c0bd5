"""As modules: copies, pickles, state_dict; and what ``import unrolled`` gives."""

import copy
import io
import pickle
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch

import unrolled
from unrolled import Bidirectional, Cell, InputTypeError, Recurrent, Stack
from unrolled.cells import GRU, LSTM, Elman, GeneralRNN, Jordan, LSTMState, OutputFeedback

T, B, I, H = 5, 3, 2, 4  # noqa: E741

MODULES = {
    "elman": lambda: Recurrent(Elman(I, H)),
    "elman with output": lambda: Recurrent(Elman(I, H, 2, output_nonlinearity="softmax"), reverse=True),
    "general": lambda: Recurrent(GeneralRNN(I, H, output_nonlinearity="log_softmax"), batch_first=True),
    "jordan": lambda: Recurrent(Jordan(I, H, nonlinearity="identity")),
    "output feedback": lambda: Recurrent(OutputFeedback(I, H, nonlinearity="gelu")),
    "lstm": lambda: Recurrent(LSTM(I, H)),
    "gru": lambda: Recurrent(GRU(I, H, bias=False)),
    "bidirectional": lambda: Bidirectional(LSTM(I, H), GRU(I, H)),
    "stack": lambda: Stack(lambda size: LSTM(size, H), I, 2, bidirectional=True, dropout=0.1),
}


def by_pickle(module):
    return pickle.loads(pickle.dumps(module))


def by_torch_save(module):
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle, by_torch_save])
@pytest.mark.parametrize("name", MODULES)
def test_a_copy_computes_the_same_and_shares_nothing(name, copied):
    torch.manual_seed(1)
    module = MODULES[name]().eval()
    twin = copied(module)
    x = torch.randn(T, B, I)
    expected, state = module(x)
    assert torch.equal(twin(x)[0], expected)
    with torch.no_grad():
        next(module.parameters()).add_(1)
    assert not torch.equal(module(x)[0], expected)
    assert torch.equal(twin(x)[0], expected)
    assert repr(twin) == repr(module)
    torch.testing.assert_close(by_pickle(state), state, rtol=0, atol=0)


@pytest.mark.parametrize("name", MODULES)
def test_state_dict_goes_round(name):
    torch.manual_seed(1)
    module = MODULES[name]().eval()
    other = MODULES[name]().eval()
    x = torch.randn(T, B, I)
    expected = module(x)[0]
    assert not torch.equal(other(x)[0], expected)
    assert other.load_state_dict(module.state_dict()) == ([], [])
    assert torch.equal(other(x)[0], expected)
    assert all(value.isfinite().all() for value in module.state_dict().values())


def test_options_are_shown():
    assert repr(Recurrent(GRU(I, H), reverse=True)).startswith("Recurrent(\n  reverse=True, backend='auto'")
    shown = repr(Stack([GRU(I, H)], residual=True))
    assert "bidirectional=False, residual=True, batch_first=False" in shown


# ---------------------------------------------------------------- the package

CORE = ("Bidirectional", "Cell", "Recurrent", "Stack", "UnsupportedStep", "UnrolledError", "unroll")


def in_new_process(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_importing_the_package_imports_no_torch():
    in_new_process("import sys, unrolled; assert 'torch' not in sys.modules and 'numpy' not in sys.modules")


def test_names_resolve_when_first_used():
    in_new_process(
        "import unrolled\n"
        "assert unrolled.cells.GRU is __import__('unrolled.cells', fromlist=['GRU']).GRU\n"
        "assert callable(unrolled.unroll) and unrolled.layers.unroll is unrolled.unroll\n"
        "from unrolled import Recurrent, Stack, core\n"
    )


def test_every_public_name_of_these_rooms_resolves():
    for name in (*unrolled.core.__all__, "core", "cells", "layers"):
        assert hasattr(unrolled.core, name) or hasattr(unrolled, name), name
    for room in (unrolled.core, unrolled.cells, unrolled.layers):
        assert [name for name in room.__all__ if not hasattr(room, name)] == []
    homes = {name: room for name, room in unrolled._HOME.items() if room in ("core", "layers")}
    assert set(CORE) <= set(homes) <= set(unrolled.__all__)
    for name, room in homes.items():
        assert getattr(unrolled, name) is getattr(getattr(unrolled, room), name)
    assert set(unrolled.layers.__all__) <= set(unrolled.__all__)


def test_dir_names_what_there_is():
    assert set(unrolled.__all__) <= set(dir(unrolled))
    assert sorted(unrolled.__all__) == list(unrolled.__all__)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match=r"^module 'unrolled' has no attribute 'Recurent'$"):
        _ = unrolled.Recurent


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


class ReturnsPlain(Cell):
    """Reads its state by name, returns a plain tuple; sets ``state_size`` as an attribute."""

    def __init__(self):
        super().__init__()
        self.state_size = Pair(2, 2)

    def step(self, x, state):
        return state.a, (state.b + x, state.a)


@pytest.mark.parametrize("options", [{}, {"lengths": [3, 1]}, {"reset": torch.ones(3, 2, dtype=torch.bool)}])
def test_a_state_keeps_its_names_whatever_the_step_returns(options):
    x = torch.randn(3, 2, 2)
    _, state = Recurrent(ReturnsPlain())(x, **options)
    assert isinstance(state, Pair)
    _, state = Recurrent(LSTM(2, 3))(x, (torch.zeros(2, 3), torch.zeros(2, 3)), **options)
    assert isinstance(state, LSTMState)  # a plain tuple was given


def test_a_packed_sequence_is_told_what_to_do():
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(3, 2, 2), [3, 1])
    with pytest.raises(InputTypeError, match=r"got a PackedSequence\. Use torch\.nn\.utils\.rnn\.pad"):
        Recurrent(GRU(2, 3))(packed)
