"""What people do with torch's recurrent modules around the call, done to ours and to torch's: the same comes out."""

import copy
import io
import multiprocessing
import pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import remove_parametrizations

from unrolled import nn as ours

from .pairs import CELLS, KINDS, leaves, pair, random_state, uneven

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch, of its own
T, B, I, H = 6, 5, 7, 9  # noqa: E741
TOLERANCE = {"rtol": 5e-5, "atol": 5e-5}
close = partial(torch.testing.assert_close, **TOLERANCE)
every_kind = pytest.mark.parametrize("kind", KINDS)
MANY = {"bidirectional": True, "num_layers": 2}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(23)


def gradients(module, x, state=None):
    """Results of a call and the gradients of all parameters, a parametrization's own among them."""
    made = leaves(module(x, state))
    loss = sum((leaf * torch.linspace(-1, 2, leaf.numel()).reshape(leaf.shape).to(leaf)).sum() for leaf in made)
    return [*made, *torch.autograd.grad(loss, list(module.parameters()))]


def alike(mine, theirs, x, state=None, **tolerance):
    """The same results and gradients of both, also where no gradient is wanted."""
    torch.testing.assert_close(gradients(mine, x, state), gradients(theirs, x, state), **tolerance or TOLERANCE)
    with torch.no_grad():
        found, expected = leaves(mine(x, state)), leaves(theirs(x, state))
    torch.testing.assert_close(found, expected, **tolerance or TOLERANCE)


@pytest.mark.parametrize(("kind", "table"), [(kind, table) for table in (KINDS, CELLS) for kind in table])
def test_the_same_seed_gives_the_same_weights_in_the_same_order_and_the_same_text(kind, table):
    name, own = table[kind]
    options = own | MANY if table is KINDS else own
    made = []
    for where in (ours, nn):
        torch.manual_seed(4)
        made.append(getattr(where, name)(I, H, **options))
    mine, theirs = made
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert repr(mine) == repr(theirs)
    assert isinstance(mine, type(theirs))
    for module in made:
        torch.manual_seed(6)
        module.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    buffer = io.BytesIO()
    torch.save(uneven(mine).state_dict(), buffer)
    buffer.seek(0)
    theirs.load_state_dict(torch.load(buffer))
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, I) if table is KINDS else torch.randn(B, I)
    alike(mine, theirs, x)


@every_kind
def test_what_torchs_base_class_has(kind):
    mine, theirs = pair(kind, I, H, **MANY)
    assert isinstance(mine, nn.RNNBase)
    assert mine.mode == theirs.mode
    assert mine.flatten_parameters() is None
    names = {id(parameter): name for name, parameter in mine.named_parameters()}
    torchs = {id(parameter): name for name, parameter in theirs.named_parameters()}
    found = [[names[id(weight)] for weight in group] for group in mine.all_weights]
    assert found == [[torchs[id(weight)] for weight in group] for group in theirs.all_weights]


@every_kind
@pytest.mark.parametrize("is_packed", [False, True])
def test_dropout_between_layers_draws_torchs_numbers(kind, is_packed):
    mine, theirs = pair(kind, I, H, num_layers=3, dropout=0.3)
    x = torch.randn(T, B, I)
    given = nn.utils.rnn.pack_padded_sequence(x, [2, 6, 1, 6, 4], enforce_sorted=False) if is_packed else x
    made = []
    for module in (mine, theirs):
        torch.manual_seed(8)
        made.append(gradients(module, given))
    close(*made)
    mine.eval(), theirs.eval()
    alike(mine, theirs, given)


@every_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), copy.copy])
def test_copies(kind, copied):
    mine, theirs = pair(kind, I, H, **MANY)
    x = torch.randn(T, B, I)
    mine(x)
    other = copied(mine)
    alike(other, theirs, x)
    if copied is not copy.copy:
        with torch.no_grad():
            [parameter.zero_() for parameter in other.parameters()]
        alike(mine, theirs, x)  # the first one keeps its own


@every_kind
def test_other_dtypes(kind):
    mine, theirs = pair(kind, I, H, **MANY)
    x = torch.randn(T, B, I)
    mine(x)
    alike(mine.double(), theirs.double(), x.double(), rtol=1e-9, atol=1e-9)
    truth = [leaf.float() for leaf in leaves(theirs(x.to(torch.bfloat16).double()))]
    mine.to(torch.bfloat16), theirs.to(torch.bfloat16)
    with torch.no_grad():
        found, expected = leaves(mine(x.to(torch.bfloat16))), leaves(theirs(x.to(torch.bfloat16)))
    assert {leaf.dtype for leaf in found} == {torch.bfloat16}
    for one, other, true in zip(found, expected, truth, strict=True):  # as near to the truth as torch's
        assert (one.float() - true).abs().max() <= 2 * (other.float() - true).abs().max() + 2**-7


def replace(module):
    module.weight_ih_l0 = nn.Parameter(module.weight_ih_l0.detach() * 1.5)


def replace_data(module):
    module.weight_hh_l0.data = module.weight_hh_l0.data * 0.5
    module.bias_ih_l0.data.add_(0.25)


def load(module):
    module.load_state_dict({name: 0.75 * value for name, value in module.state_dict().items()})


def in_place(module):
    with torch.no_grad():
        module.weight_hh_l1.mul_(-0.5)


def optimise(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    leaves(module(torch.ones(T, B, I)))[0].square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def share_another(module):
    module.weight_hh_l1 = module.weight_hh_l0


@every_kind
@pytest.mark.parametrize("change", [replace, replace_data, load, in_place, optimise, share_another])
def test_parameters_changed_between_calls(kind, change):
    mine, theirs = pair(kind, I, H, num_layers=2)
    x = torch.randn(T, B, I)
    before = gradients(mine, x)
    with torch.no_grad():
        mine(x)
    for module in (mine, theirs):
        change(module)
    alike(mine, theirs, x)
    assert not torch.allclose(before[0], mine(x)[0], atol=1e-6)


@every_kind
@pytest.mark.parametrize("form", [parametrizations.weight_norm, parametrizations.spectral_norm])
@pytest.mark.parametrize("has_run", [False, True])
def test_parametrizations(kind, form, has_run):
    mine, theirs = pair(kind, I, H, num_layers=2)
    x = torch.randn(T, B, I)
    if has_run:
        alike(mine, theirs, x)
    for module in (mine, theirs):
        for name in ("weight_hh_l0", "weight_ih_l1"):
            torch.manual_seed(2)  # the spectral norm begins with random vectors
            form(module, name)
        module.eval()  # in training each look at such a weight changes it, and torch looks at it several times a call
    alike(mine, theirs, x)
    for module in (mine, theirs):
        for name in ("weight_hh_l0", "weight_ih_l1"):
            remove_parametrizations(module, name)
    alike(mine, theirs, x)


@every_kind
def test_the_spectral_norm_is_found_in_training(kind):
    mine, _ = pair(kind, I, H)
    with torch.no_grad():
        mine.weight_hh_l0.mul_(5)
    parametrizations.spectral_norm(mine, "weight_hh_l0", n_power_iterations=5)
    for _ in range(30):
        outputs, _ = mine(torch.randn(T, B, I))
    outputs.sum().backward()
    assert mine.parametrizations.weight_hh_l0.original.grad.abs().max() > 0
    torch.testing.assert_close(torch.linalg.matrix_norm(mine.weight_hh_l0, 2), torch.tensor(1.0), rtol=0, atol=1e-3)


@every_kind
def test_weight_drop_as_it_was_once_written(kind):
    """The raw weight under another name, and before each call a plain tensor in its place."""
    mine, theirs = pair(kind, I, H)
    x = torch.randn(T, B, I)
    mine(x)
    for module in (mine, theirs):
        raw = module._parameters.pop("weight_hh_l0")
        module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.detach()))
    for seed in range(3):
        made = []
        for module in (mine, theirs):
            torch.manual_seed(seed)
            module.weight_hh_l0 = nn.functional.dropout(module.weight_hh_l0_raw, 0.5)
            made.append(gradients(module, x))
        close(*made)


@every_kind
def test_functional_call_and_its_gradient(kind):
    mine, theirs = pair(kind, I, H, **MANY)
    x, state = torch.randn(T, B, I), random_state(mine, B)
    before = mine(x, state)[0]
    made = []
    for module in (mine, theirs):
        other = {name: (0.5 * p.detach()).requires_grad_() for name, p in module.named_parameters()}
        results = leaves(functional_call(module, other, (x, state)))
        made.append([*results, *torch.autograd.grad(results[0].square().sum(), list(other.values()))])
    close(*made)
    assert torch.equal(mine(x, state)[0], before)  # its own parameters are back


@every_kind
def test_replicas(kind):
    """What DataParallel makes of a module for each device: its attributes, and tensors in place of parameters."""
    mine, theirs = pair(kind, I, H, num_layers=2)
    x, made = torch.randn(T, B, I), []
    for module in (mine, theirs):
        replica = module._replicate_for_data_parallel()
        for name, parameter in module.named_parameters():
            setattr(replica, name, 2 * parameter)
        made.append([*leaves(replica(x)), *torch.autograd.grad(replica(x)[0].sum(), list(module.parameters()))])
    close(*made)


def test_in_another_process():
    mine, _ = pair("gru", I, H, **MANY)
    mine.requires_grad_(False)
    x = torch.randn(T, B, I)
    expected = mine(x)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(ours.GRU.forward, (mine, x))
    close(leaves(found), leaves(expected), rtol=0, atol=0)
