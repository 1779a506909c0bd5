"""The fingerprint of a cell: its tensors, attributes, modes and hooks; a change shows, and its undoing."""

import functools
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from unrolled import cells
from unrolled.compiler.fingerprint import digest, read, same

spec = importlib.util.spec_from_file_location("compiler_fingerprints", Path(__file__).with_name("fingerprints.py"))
fingerprints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fingerprints)
key, holding, Leaky = fingerprints.key, fingerprints.holding, fingerprints.Leaky

TABLE = torch.ones(3)


def test_names_and_tensors_in_order_of_first_sight():
    cell = Leaky()
    reading = read(cell.step)
    assert reading.names == ("self.W", "self.offset", "self.inner.weight", "self.inner.bias")
    wanted = (cell.W, cell.offset, cell.inner.weight, cell.inner.bias)
    assert all(a is b for a, b in zip(reading.tensors, wanted, strict=True))
    W = torch.ones(2)
    assert read(lambda x, h: (W + TABLE, h)).names == ("closure.W", "globals.TABLE")
    assert read(lambda x, h, *, g=W: (W + g, h)).names == ("defaults.g",)
    assert read(holding([{"a": W}])).names == ("closure.value[0]['a']",)
    assert read(functools.partial(lambda w, x, h, b: (w + b, h), W, b=TABLE)).names == ("args[0]", "keywords['b']")
    assert read(nn.Linear(2, 2)).names == ("self.weight", "self.bias")


@pytest.mark.parametrize(
    "cell",
    [cells.LSTM(2, 3), cells.GRU(2, 3), cells.Elman(2, 3, 2), cells.Jordan(2, 3), Leaky()],
    ids=lambda c: type(c).__name__,
)
def test_nothing_changed(cell):
    before = read(cell.step)
    cell.step(torch.ones(4, 2 if not isinstance(cell, Leaky) else 3), cell.initial_state(4))
    after = read(cell.step)
    assert same(before, after)
    assert hash(before.key) == hash(after.key)
    assert digest(cell.step) is not None


def _set(**attributes):
    return lambda cell: [setattr(cell, name, value) for name, value in attributes.items()]


@pytest.mark.parametrize(
    "change",
    [
        _set(dt=0.2),
        _set(dt=None),
        _set(new=1),
        _set(inner=nn.Linear(3, 3, bias=False)),
        _set(inner=nn.Sequential(nn.Linear(3, 3))),
        _set(inner=nn.Identity()),
        _set(W=nn.Parameter(torch.ones(3, 4))),
        _set(W=nn.Parameter(torch.ones(3, 3, dtype=torch.float64))),
        _set(W=nn.Parameter(torch.ones(3, 3).t())),
        _set(W=None),
        lambda cell: cell.W.requires_grad_(False),
        lambda cell: cell.eval(),
        lambda cell: cell.inner.eval(),
        lambda cell: delattr(cell, "offset"),
        lambda cell: cell.register_buffer("more", torch.ones(1)),
        lambda cell: cell.inner.register_forward_hook(lambda *a: None),
        lambda cell: cell.inner.register_forward_pre_hook(lambda *a: None),
        lambda cell: setattr(cell, "mix", lambda a: a),
        lambda cell: setattr(cell.inner, "weight", cell.W),
        lambda cell: setattr(cell, "inner", cell.inner.half()),
        lambda cell: parametrize.register_parametrization(cell, "W", nn.Softplus()),
    ],
)
def test_a_changed_module_reads_otherwise(change):
    cell = Leaky()
    before = read(cell.step)
    change(cell)
    assert not same(before, read(cell.step))


def test_changes_undone_read_as_before():
    cell = Leaky()
    before = key(cell.step)
    cell.eval()
    cell.dt = 0.2
    hook = cell.register_forward_hook(lambda *a: None)
    assert key(cell.step) != before
    cell.train()
    cell.dt = 0.1
    hook.remove()
    assert key(cell.step) == before


def test_a_replaced_parameter_is_served_by_the_same_code():
    cell = Leaky()
    before = read(cell.step)
    cell.W = nn.Parameter(torch.zeros(3, 3))
    after = read(cell.step)
    assert same(before, after)
    assert after.tensors[0] is cell.W
    cell.W = torch.nn.Parameter(torch.zeros(3, 3))
    assert same(before, read(Leaky().step))
    assert digest(cell.step) == digest(Leaky().step)


def test_tied_weights_are_seen_as_tied():
    a, b = torch.ones(2), torch.ones(2)
    assert key(holding((a, b))) != key(holding((a, a)))
    assert key(holding((a, a))) == key(holding((b, b)))
    assert len(read(holding((a, a))).tensors) == 1


def test_parametrized_cells_read_alike():
    first, second = Leaky(), Leaky()
    for cell in (first, second):
        parametrize.register_parametrization(cell, "W", nn.Softplus())
    assert key(first.step) == key(second.step)
    assert digest(first.step) == digest(second.step) is not None
    assert "self.parametrizations.W.original" in read(first.step).names


def test_kinds_of_tensors():
    class Mine(torch.Tensor):
        pass

    variants = [
        torch.ones(2, 2),
        nn.Parameter(torch.ones(2, 2)),
        nn.Parameter(torch.ones(2, 2), requires_grad=False),
        torch.ones(2, 2).as_subclass(Mine),
        torch.ones(2, 2, device="meta"),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, 2, dtype=torch.bool),
        torch.ones(2, 2)[:, :1].expand(2, 2),
    ]
    keys = [key(holding(value)) for value in variants]
    assert len(set(keys)) == len(keys)
    assert keys == [key(holding(value)) for value in variants]
    assert key(holding(torch.zeros(2, 2))) == keys[0]


def test_an_attribute_of_a_tensor_that_code_names():
    W = torch.ones(2)
    W.gain, W.other = 2.0, 1.0

    def step(x, h):
        return x * W.gain, h

    before = key(step)
    W.other = 5.0
    assert key(step) == before
    W.gain = 3.0
    assert key(step) != before


def test_what_grows_is_seen():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls, self.log, self.counts = 0, [], {}

        def step(self, x, h):
            if isinstance(h, int):
                self.calls += h
            else:
                self.log.append(h)
            return x, h

    cell = Counting()
    for argument in (1, "a", 2):
        before = read(cell.step)
        cell.step(None, argument)
        assert not same(before, read(cell.step))
    before = read(cell.step)
    cell.step(None, 0)
    assert same(before, read(cell.step))


def test_methods_properties_and_class_attributes(monkeypatch):
    cell = Leaky()
    before = key(cell.step)
    monkeypatch.setattr(Leaky, "unused", lambda self: 1)
    assert key(cell.step) == before
    for name, value in [("mix", lambda self, a: a), ("leak", property(lambda self: 0.0)), ("rate", 0.2)]:
        with monkeypatch.context() as patch:
            patch.setattr(Leaky, name, value)
            assert key(cell.step) != before
        assert key(cell.step) == before
