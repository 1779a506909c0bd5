"""torch's own database of its modules, with ours in place: its inputs, its errors, its checks of gradients."""

from collections import Counter
from functools import partial
from inspect import signature

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence

from unrolled import nn as ours

pytest.importorskip("expecttest")  # which torch's own tests import

from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
from torch.testing._internal.common_utils import freeze_rng_state

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch, of its own
NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
ENTRIES = {info.module_cls.__name__: info for info in module_db if info.module_cls in [getattr(nn, n) for n in NAMES]}
MODES = {name: (True, False) if info.train_and_eval_differ else (True,) for name, info in ENTRIES.items()}
KINDS = [
    pytest.param(name, dtype, training, id=f"{name}-{str(dtype)[6:]}-{'train' if training else 'eval'}")
    for name, info in ENTRIES.items()
    for dtype in info.dtypes
    for training in MODES[name]
]
INPUTS = {"RNN": 32, "LSTM": 32, "GRU": 16, "RNNCell": 3, "LSTMCell": 2, "GRUCell": 2}  # 87
PACKED = {"RNN": 32, "GRU": 16}  # and 135 with these
IS_NEW = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13)
OF_LAYERS, OF_RNN_CELL, OF_OTHERS = (14, 6, 6) if IS_NEW else (2, 6, 6)
ERRORS = dict.fromkeys(("RNN", "LSTM", "GRU"), OF_LAYERS) | {
    "RNNCell": OF_RNN_CELL,
    "GRUCell": OF_OTHERS,
    "LSTMCell": 4,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def drawn(function, name, dtype, training, **options):
    """The database's entries, for the CPU."""
    info = ENTRIES[name]
    return list(function(info, device="cpu", dtype=dtype, training=training, **options))


def inputs_of(name, dtype, training, requires_grad=False):
    """Inputs, and for those layers for which the database has them packed ones."""
    function = ENTRIES[name].module_inputs_func
    options = {"with_packed_sequence": True} if "with_packed_sequence" in signature(function).parameters else {}
    return drawn(function, name, dtype, training, requires_grad=requires_grad, **options)


def is_packed(entry):
    return isinstance(entry.forward_input.args[0], PackedSequence)


def made(name, entry, dtype, training):
    """Our module and torch's of one entry, with the same parameters."""
    args, options = entry.constructor_input.args, entry.constructor_input.kwargs
    mine, theirs = (getattr(where, name)(*args, **options).to(dtype).train(training) for where in (ours, nn))
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def test_the_database_is_as_large_as_it_was():
    assert set(ENTRIES) == set(NAMES)
    counts, packed, errors = Counter(), Counter(), Counter()
    for name in NAMES:
        for entry in inputs_of(name, torch.float64, True):
            (packed if is_packed(entry) else counts)[name] += 1
        function = ENTRIES[name].module_error_inputs_func
        errors[name] += len(drawn(function, name, torch.float64, True, requires_grad=False))
    assert (dict(counts), dict(packed), dict(errors)) == (INPUTS, PACKED, ERRORS)
    assert len(KINDS) == 2 * (2 + 2 + 2 + 1 + 1 + 1)


@pytest.mark.parametrize(("name", "dtype", "training"), KINDS)
def test_reference(name, dtype, training):
    """Its reference function, given ours and given torch's; the packed ones, which have none that runs, by torch's."""
    ran = 0
    for entry in inputs_of(name, dtype, training):
        mine, theirs = made(name, entry, dtype, training)
        args, options = entry.forward_input.args, entry.forward_input.kwargs
        with freeze_rng_state():
            found = mine(*args, **options)
        if is_packed(entry):
            torch.testing.assert_close(tuple(found[0]), tuple(theirs(*args, **options)[0]))
            torch.testing.assert_close(found[1], theirs(*args, **options)[1])
        else:
            for module in (mine, theirs):
                torch.testing.assert_close(found, entry.reference_fn(module, *args))
        ran += 1
    assert ran == INPUTS[name] + PACKED.get(name, 0)


@pytest.mark.parametrize(("name", "dtype", "training"), KINDS)
@pytest.mark.parametrize("with_grad", [True, False])
def test_error(name, dtype, training, with_grad):
    """The type and words that the database asks for, and those of torch's own module."""
    ran = 0
    for error in drawn(ENTRIES[name].module_error_inputs_func, name, dtype, training, requires_grad=with_grad):
        entry = error.module_error_input
        args, options = entry.constructor_input.args, entry.constructor_input.kwargs
        calls = [partial(getattr(where, name), *args, **options) for where in (ours, nn)]
        if error.error_on == ModuleErrorEnum.FORWARD_ERROR:
            modules = [call().to(dtype).train(training) for call in calls]
            calls = [partial(module, *entry.forward_input.args, **entry.forward_input.kwargs) for module in modules]
        said = []
        for call in calls:
            with torch.set_grad_enabled(with_grad), pytest.raises(error.error_type, match=error.error_regex) as caught:
                call()
            said.append((caught.type, str(caught.value)))
        assert said[0] == said[1]
        ran += 1
    assert ran == ERRORS[name]


def flat(tree):
    """The tensors of arguments or results; of a packed sequence its data."""
    if isinstance(tree, PackedSequence):
        return [tree.data]
    return [tree] if isinstance(tree, torch.Tensor) else [leaf for part in tree for leaf in flat(part)]


FIRST = [pytest.param(gradcheck, name, mode) for name in NAMES for mode in MODES[name]]
SECOND = [pytest.param(gradgradcheck, name, True) for name in NAMES]  # nothing here but the dropout, 0, knows the mode


@pytest.mark.slow
@pytest.mark.parametrize(("check", "name", "training"), FIRST + SECOND)
def test_gradients(check, name, training):
    """With respect to input, state and every parameter, by differences along random directions, as in torch's tests."""
    ran = 0
    for entry in inputs_of(name, torch.float64, training, requires_grad=True):
        module, _ = made(name, entry, torch.float64, training)
        args = entry.forward_input.args
        watched = (*flat(args), *module.parameters())

        def call(*_, module=module, args=args):
            with freeze_rng_state():
                return tuple(flat(module(*args)))

        assert all(leaf.requires_grad for leaf in watched)
        assert check(call, watched, fast_mode=True)
        ran += 1
    assert ran == INPUTS[name] + PACKED.get(name, 0)
