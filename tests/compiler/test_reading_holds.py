"""The cheap check of a reading: whatever would change the key fails it, and what does not, mostly passes."""

import collections
import enum
import functools
import gc
import importlib.util
import random
import threading
import types
import weakref
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from unrolled import Cell, Recurrent, cells
from unrolled.compiler import engine, fingerprint_recall, fingerprint_watch
from unrolled.compiler.fingerprint import read, read_and_watch, same
from unrolled.compiler.fingerprint_recall import read_again, recall

spec = importlib.util.spec_from_file_location("compiler_fingerprints", Path(__file__).with_name("fingerprints.py"))
fingerprints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fingerprints)
holding, Leaky = fingerprints.holding, fingerprints.Leaky

helpers = types.ModuleType("helpers_of_a_user")
exec("BETA = 2.0\ndef scale(a):\n    return a * BETA\n", helpers.__dict__)


def owner_of(step):
    return getattr(step, "__self__", step)


@pytest.fixture(params=["PyTorch's", "by attributes"], autouse=True)
def _metadata(request, monkeypatch):
    if request.param == "by attributes":
        monkeypatch.setattr(fingerprint_watch, "metadata_check", fingerprint_watch._by_attributes)


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


@dataclass
class Config:
    dt: float = 0.1
    size: int = 3


@dataclass(slots=True)
class Slotted:
    a: float = 1.0


class Point(collections.namedtuple("Point", "x y")):
    __slots__ = ()


class Always:
    """Equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = None


def make():
    """A step that reads all kinds of things; its classes and functions are made anew."""
    table = torch.ones(3)
    space = {"__name__": "users", "GAIN": 2.0, "helpers": helpers, "double": lambda a: 2 * a}
    exec("def read_globals(a, k=1.5, *, b=0.5):\n    return double(a) * GAIN * k + helpers.scale(a) * later", space)

    class Base(Cell):
        rate = 0.1

        def shift(self, a):
            return a + self.offset

    class Zoo(Base):
        def __init__(self):
            super().__init__()
            self.dt, self.hidden_size, self.nothing, self.flag = 0.1, 3, None, True
            self.W = nn.Parameter(torch.ones(3, 3))
            self.inner = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
            self.register_buffer("offset", torch.zeros(3))
            self.sizes, self.names, self.point = [1, 2], {"a": 1, "b": [2]}, Point(1, [2])
            self.config, self.slotted, self.mode = Config(), Slotted(), Mode.FAST
            self.queue, self.group, self.ordered = collections.deque([1]), {1, 2}, collections.OrderedDict(a=1, b=2)
            self.array, self.partial = np.ones(3), functools.partial(torch.sum, dim=-1)
            self.root = functools.lru_cache(lambda a: a**0.5)
            self.helper, self.W.gain = space["read_globals"], 1.0

        @property
        def leak(self):
            return self.dt * self.rate

        @functools.cached_property
        def length(self):
            return 3

        @staticmethod
        def twice(a):
            return 2 * a

        def step(self, x, h):
            return self.helper(
                self.twice(self.shift(self.inner(x @ self.W * self.W.gain)) * self.leak)
            ) + table, h * self.length

    cell = Zoo()
    return cell, types.SimpleNamespace(space=space, Base=Base, Zoo=Zoo, cell=Zoo.step.__closure__[0], table=table)


def _set(**attributes):
    return lambda c, made: [setattr(c, name, value) for name, value in attributes.items()]


def _data(name, change):
    def apply(c, made):
        parameter = getattr(c, name)
        parameter.data = change(parameter.data)

    return apply


def _swap(c, made):
    new = nn.Parameter(torch.ones(3, 3))
    new.gain = 2.0
    torch.utils.swap_tensors(c.W, new)


def _reorder(c, made):
    value = c.dt
    del c.dt
    c.dt = value


def _code(c, made):
    c.helper.__code__ = (lambda a, k=1, *, b=0: double(a)).__code__


def _no_grad_mode(c, made):
    with torch.no_grad():
        c.W.requires_grad_(False)


def double(a):
    return a


CHANGES = {
    "number": _set(dt=0.2),
    "zero": _set(dt=-0.0),
    "equal number of another type": _set(hidden_size=3.0),
    "tensor equal to the number": _set(dt=torch.tensor(0.1, dtype=torch.float64)),
    "equal to everything": _set(dt=Always(), hidden_size=Always()),
    "mock": _set(dt=mock.ANY, nothing=mock.ANY, flag=mock.ANY),
    "array in place of a number": _set(dt=np.float64(0.1)),
    "None": _set(nothing=False),
    "1 for True": _set(flag=1),
    "new attribute": _set(new=1),
    "attribute of the instance hides a method": _set(shift=lambda a: a),
    "attribute removed": lambda c, made: delattr(c, "dt"),
    "order of attributes": _reorder,
    "own __dict__": lambda c, made: setattr(c, "__dict__", {**c.__dict__, "dt": 0.3}),
    "class": lambda c, made: setattr(c, "__class__", type("Other", (made.Zoo,), {"twice": staticmethod(abs)})),
    "bases": lambda c, made: setattr(made.Zoo, "__bases__", (Cell,)),
    "method": lambda c, made: setattr(made.Base, "shift", lambda self, a: a),
    "method of the derived class hides it": lambda c, made: setattr(made.Zoo, "shift", lambda self, a: a),
    "method removed": lambda c, made: delattr(made.Base, "shift"),
    "property": lambda c, made: setattr(made.Zoo, "leak", property(lambda self: 0.0)),
    "property hides an attribute": lambda c, made: setattr(made.Zoo, "W", property(lambda self: 0.0)),
    "staticmethod": lambda c, made: setattr(made.Zoo, "twice", staticmethod(abs)),
    "class attribute": lambda c, made: setattr(made.Base, "rate", 0.2),
    "implicit method": lambda c, made: setattr(made.Base, "__getattribute__", nn.Module.__getattribute__),
    "unused method": lambda c, made: setattr(made.Base, "unused", lambda self: 0),
    "parameter": _set(W=nn.Parameter(torch.ones(3, 4))),
    "parameter of the same kind": _set(W=nn.Parameter(torch.ones(3, 3))),
    "parameter removed": _set(W=None),
    "parameter tied": lambda c, made: setattr(c.inner[0], "weight", c.W),
    "data of another shape": _data("W", lambda w: torch.ones(4, 3)),
    "data of another dtype": _data("W", torch.Tensor.double),
    "data transposed": _data("W", torch.Tensor.t),
    "data of the same kind": _data("W", torch.clone),
    "another device": lambda c, made: c.to("meta"),
    "requires_grad": lambda c, made: c.W.requires_grad_(False),
    "requires_grad without grad": _no_grad_mode,
    "buffer wants a gradient": lambda c, made: c.offset.requires_grad_(),
    "buffer resized": lambda c, made: c.offset.resize_(2),
    "buffer's shape in place": lambda c, made: c.offset.unsqueeze_(0),
    "class of a tensor": lambda c, made: setattr(c.W, "__class__", type("Mine", (nn.Parameter,), {})),
    "swapped": _swap,
    "attribute of a tensor": lambda c, made: setattr(c.W, "gain", 2.0),
    "new attribute of a tensor": lambda c, made: setattr(c.offset, "gain", 2.0),
    "attributes of a tensor": lambda c, made: setattr(c.offset, "__dict__", {"gain": 2.0}),
    "half": lambda c, made: c.half(),
    "eval": lambda c, made: c.eval(),
    "eval of a submodule": lambda c, made: c.inner[1].eval(),
    "hook": lambda c, made: c.register_forward_hook(lambda *a: None),
    "hook of a submodule": lambda c, made: c.inner[0].register_forward_pre_hook(lambda *a: None),
    "backward hook": lambda c, made: c.inner[1].register_full_backward_hook(lambda *a: None),
    "submodule": lambda c, made: c.inner.__setitem__(1, nn.Identity()),
    "submodule added": lambda c, made: c.inner.append(nn.Tanh()),
    "submodule's option": lambda c, made: setattr(c.inner[1], "eps", 0.1),
    "buffer added": lambda c, made: c.register_buffer("more", torch.ones(1)),
    "parametrization": lambda c, made: parametrize.register_parametrization(c, "W", nn.Softplus()),
    "list": lambda c, made: c.sizes.append(3),
    "list, one item": lambda c, made: c.sizes.__setitem__(0, 1.0),
    "dict": lambda c, made: c.names.update(a=2),
    "dict, another key": lambda c, made: c.names.update(c=2),
    "dict, order": lambda c, made: c.names.update(a=c.names.pop("a")),
    "list in a dict": lambda c, made: c.names["b"].append(1),
    "list in a tuple": lambda c, made: c.point.y.append(1),
    "dataclass": lambda c, made: setattr(c.config, "dt", 0.2),
    "slot": lambda c, made: setattr(c.slotted, "a", 2.0),
    "enum": _set(mode=Mode.SLOW),
    "deque": lambda c, made: c.queue.append(1),
    "set": lambda c, made: c.group.add(3),
    "ordered dict": lambda c, made: c.ordered.move_to_end("a"),
    "array": lambda c, made: c.array.__setitem__(0, 2.0),
    "array's shape": lambda c, made: setattr(c.array, "shape", (3, 1)),
    "array's dtype": lambda c, made: setattr(c.array, "dtype", np.int64),
    "partial": lambda c, made: c.partial.keywords.update(dim=0),
    "partial, all of it": lambda c, made: c.partial.__setstate__((torch.mean, (), {"dim": -1}, None)),
    "cached": lambda c, made: setattr(c.root, "__wrapped__", abs),
    "cached property": lambda c, made: setattr(made.Zoo.__dict__["length"], "func", lambda self: 4),
    "cached property, used": lambda c, made: c.length,
    "global": lambda c, made: made.space.update(GAIN=3.0),
    "global function": lambda c, made: made.space.update(double=abs),
    "global removed": lambda c, made: made.space.pop("GAIN"),
    "global that was missing": lambda c, made: made.space.update(later=1.0),
    "global not named": lambda c, made: made.space.update(unused=1.0),
    "name of a user's module": lambda c, made: setattr(helpers, "BETA", 3.0),
    "function of a user's module": lambda c, made: setattr(helpers, "scale", abs),
    "new name of a user's module": lambda c, made: setattr(helpers, "twice", 1),
    "closure": lambda c, made: setattr(made.cell, "cell_contents", torch.ones(4)),
    "code": _code,
    "defaults": lambda c, made: setattr(c.helper, "__defaults__", (2.5,)),
    "keyword defaults": lambda c, made: setattr(c.helper, "__kwdefaults__", {"b": 1.5}),
    "keyword default": lambda c, made: c.helper.__kwdefaults__.update(b=1.5),
    "attribute of a function": lambda c, made: setattr(c.helper, "gain", 1.5),
    "attribute of a tensor closed over": lambda c, made: setattr(made.table, "gain", 1.0),
}


@pytest.fixture
def _helpers_as_they_were():
    before = dict(helpers.__dict__)
    yield
    helpers.__dict__.clear()
    helpers.__dict__.update(before)


def watched(step):
    reading, check = read_and_watch(step, owner_of(step))
    assert check is not None
    return reading, lambda: check(owner_of(step))


def agrees(reading, holds, step):
    """Whether the check holds; where it does, a new reading must be the same, with the same tensors."""
    held = holds()
    if held:
        after = read(step)
        assert same(reading, after)
        assert all(a is b for a, b in zip(reading.tensors, after.tensors, strict=True))
    return held


@pytest.mark.usefixtures("_helpers_as_they_were")
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_fails_the_check(name):
    cell, made = make()
    step = cell.step
    reading, holds = watched(step)
    assert holds()
    CHANGES[name](cell, made)
    assert not agrees(reading, holds, step) or name in ("global not named", "data of the same kind")


@pytest.mark.usefixtures("_helpers_as_they_were")
@pytest.mark.parametrize("seed", range(60))
def test_changes_in_any_order_and_a_new_check_after_some(seed):
    chance = random.Random(seed)
    cell, made = make()
    step = cell.step
    reading, holds = watched(step)
    for name in chance.sample(sorted(CHANGES), 12):
        try:
            CHANGES[name](cell, made)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
            continue  # of something that is no more
        if not agrees(reading, holds, step) and chance.random() < 0.5:
            reading, check = read_and_watch(step, cell)
            if check is None:
                return
            holds = functools.partial(check, cell)
            assert agrees(reading, holds, step)


def test_a_change_undone_passes():
    cell, _ = make()
    reading, holds = watched(cell.step)
    cell.eval()
    assert not agrees(reading, holds, cell.step)
    cell.train()
    hook = cell.inner.register_forward_hook(lambda *a: None)
    assert not agrees(reading, holds, cell.step)
    hook.remove()
    assert agrees(reading, holds, cell.step)


class Submodules(Cell):
    def __init__(self):
        super().__init__()
        self.hidden_size = 3
        self.inner, self.norm = nn.Linear(3, 3), nn.LayerNorm(3)

    def step(self, x, h):
        h = torch.tanh(self.norm(self.inner(x + h)))
        return h, h


CELLS = {
    "LSTM": lambda: cells.LSTM(3, 3),
    "GRU": lambda: cells.GRU(3, 3),
    "Elman": lambda: cells.Elman(3, 3, 3),
    "Jordan": lambda: cells.Jordan(3, 3),
    "leaky": Leaky,
    "submodules": Submodules,
    "all kinds of things": lambda: make()[0],
}


@pytest.mark.parametrize("name", CELLS)
def test_training_passes(name):
    cell = CELLS[name]()
    reading, holds = watched(cell.step)
    optimizer = torch.optim.Adam(cell.parameters(), weight_decay=0.1)
    for _ in range(3):
        if name == "all kinds of things":
            loss = cell.inner(torch.ones(2, 3) @ cell.W).sum()
        else:
            output, _ = cell.step(torch.randn(2, 3), cell.initial_state(2))
            loss = output.sin().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert agrees(reading, holds, cell.step)
    cell.load_state_dict(cell.state_dict())
    with torch.no_grad():
        assert agrees(reading, holds, cell.step)
    cell.zero_grad(set_to_none=False)
    cell.share_memory()
    assert agrees(reading, holds, cell.step)


def test_a_gradient_mode_does_not_hide_a_change():
    cell = cells.GRU(3, 3)
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        reading, check = read_and_watch(cell.step, cell)
        with mode():
            cell.weight_hh.requires_grad_(not cell.weight_hh.requires_grad)
            assert not agrees(reading, functools.partial(check, cell), cell.step)


def test_functions_partials_and_callables():
    class Step:
        def __init__(self):
            self.k = 1.0

        def __call__(self, x, h):
            return x * self.k, h

    weight = torch.ones(3, requires_grad=True)
    step, items, part, call = holding(weight), [1], functools.partial(lambda w, x, h: (w * x, h), weight), Step()
    for one in (step, holding(items), part, call, torch.no_grad()(holding(items))):
        reading, holds = watched(one)
        assert agrees(reading, holds, one)
    reading, holds = watched(step)
    step.__closure__[0].cell_contents = torch.ones(4)
    assert not agrees(reading, holds, step)
    reading, holds = watched(call)
    call.k = 2.0
    assert not agrees(reading, holds, call)


def _empty():
    """A function with a cell that is empty."""

    def step(x, h):
        return later, h

    if step is None:
        later = 1
    return step


def _importing(x, h):
    import math

    return x * math.pi, h


@pytest.mark.parametrize(
    "step",
    [
        holding(bytearray(b"1")),
        holding(np.ones(4096)),
        holding(np.array([1, "a"], object)),
        holding(collections.defaultdict(list)),
        holding(types.MappingProxyType({})),
        holding(functools.lru_cache(_empty())),
        holding(torch.ones(2).to_sparse()),
        holding(torch.ones(2).as_subclass(type("Mine", (torch.Tensor,), {}))),
        holding(np.zeros(1, "i4,i4")[0]),
        _empty(),
        _importing,
    ],
)
def test_what_cannot_be_watched_has_no_check(step):
    assert read_and_watch(step, step)[1] is None


def test_a_step_that_is_reached_from_itself_has_no_check():
    cell = Leaky()
    cell.mine = cell.mix
    assert read_and_watch(cell.step, cell)[1] is None


# ---------------------------------------------------------------- what is remembered


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(fingerprint_recall, "_KNOWN", {})


def test_a_step_read_twice_is_recalled_until_it_changes():
    cell = Leaky()
    assert recall(cell.step) is None
    read_again(cell.step)
    assert recall(cell.step) is None
    reading, remembered = read_again(cell.step)
    assert recall(cell.step) is remembered
    assert same(reading, read(cell.step))
    assert remembered.key == reading.key
    assert recall(Leaky().step) is recall(cell.initial_state) is None
    cell.dt = 0.2
    assert recall(cell.step) is None
    read_again(cell.step)
    reading, _ = read_again(cell.step)
    assert recall(cell.step).key == reading.key != remembered.key


def test_checks_that_fail_for_nothing_are_made_ever_more_rarely():
    cell, made = Leaky(), 0
    for _ in range(200):
        cell.dt = float("0.25")  # another object each time
        assert recall(cell.step) is None
        made += read_again(cell.step)[1] is not None
    assert 3 < made < 10
    for _ in range(300):
        read_again(cell.step)
        if recall(cell.step):
            break
    assert recall(cell.step)


@pytest.mark.parametrize("make_step", [lambda: Leaky().step, lambda: holding(torch.ones(3)), lambda: make()[0].step])
def test_nothing_is_kept_alive(make_step):
    step = make_step()
    for _ in range(3):
        read_again(step)
    assert recall(step) or read_again(step)
    owner, tensors = weakref.ref(owner_of(step)), [weakref.ref(tensor) for tensor in read(step).tensors]
    assert len(fingerprint_recall._KNOWN) == 1
    del step
    gc.collect()
    assert owner() is None
    assert all(tensor() is None for tensor in tensors)
    assert not fingerprint_recall._KNOWN


def test_a_layer_that_was_used_is_not_kept_alive():
    layer = Recurrent(cells.GRU(3, 3), backend="plan")
    for _ in range(4):
        layer(torch.randn(2, 2, 3))[0].sum().backward()
    assert recall(layer.cell.step)
    weight = weakref.ref(layer.cell.weight_hh)
    del layer
    gc.collect()
    assert weight() is None


def test_the_number_of_steps_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(fingerprint_recall, "_MOST", 3)
    kept = [Leaky() for _ in range(7)]
    for cell in kept:
        read_again(cell.step)
        assert len(fingerprint_recall._KNOWN) <= 3


def test_several_threads():
    cell, wrong = Leaky(), []
    keys = {dt: (setattr(cell, "dt", dt), read(cell.step).key)[1] for dt in (0.1, 0.2)}

    def work():
        own = Leaky()
        for k in range(200):
            dt = (0.1, 0.2)[k // 10 % 2]
            own.dt = dt
            found = recall(own.step) or read_again(own.step)[0]
            if found.key != keys[dt]:
                wrong.append(dt)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---------------------------------------------------------------- in use


def test_a_layer_sees_every_change():
    cell = Leaky()
    layer, slow = Recurrent(cell, backend="plan"), Recurrent(cell, backend="reference")
    x = torch.randn(4, 2, 3)
    changes = [
        lambda: setattr(cell, "dt", 0.3),
        lambda: setattr(cell, "W", nn.Parameter(torch.randn(3, 3))),
        lambda: cell.inner.weight.data.mul_(2),
        lambda: setattr(cell.inner.weight, "data", torch.randn(3, 3).t()),
        lambda: setattr(cell, "mix", torch.sin),
        lambda: cell.inner.bias.requires_grad_(False),
        lambda: cell.double(),
    ]
    for change in changes:
        change()
        if cell.W.dtype == torch.float64:
            x = x.double()
        for _ in range(4):
            outputs, _ = layer(x)
            torch.testing.assert_close(outputs, slow(x)[0])
        assert recall(cell.step).notes
        used = torch.autograd.grad(outputs.sum(), [p for p in cell.parameters() if p.requires_grad], allow_unused=True)
        expected = [p for p in cell.parameters() if p.requires_grad]
        wanted = torch.autograd.grad(slow(x)[0].sum(), expected, allow_unused=True)
        torch.testing.assert_close(used, wanted)


def test_what_stands_beside_the_step_is_seen_too(monkeypatch):
    cell = cells.GRU(3, 3)
    layer, plans = Recurrent(cell, backend="plan"), []
    run_it = engine.apply
    monkeypatch.setattr(engine, "apply", lambda job, closed: (plans.append(job.plan), run_it(job, closed))[1])

    def plan_of(x, state=None, **context):
        for _ in range(3):
            layer(x, state)
        return plans[-1]

    x = torch.randn(4, 2, 3)
    first = plan_of(x)
    assert plan_of(torch.randn(5, 3, 3)) is first
    assert plan_of(x.clone().requires_grad_()) is not first
    assert plan_of(x, torch.zeros(2, 3, requires_grad=True)) is not first
    with torch.no_grad():
        without = plan_of(x)
        assert without is not first
        assert plan_of(torch.randn(1, 1, 3)) is without
    monkeypatch.setenv("UNROLLED_ISA", "portable")
    assert plan_of(x) is not first
    monkeypatch.delenv("UNROLLED_ISA")
    assert plan_of(x) is first
    cell.double()
    assert plan_of(x.double()) is not first
    cell.float()
    assert plan_of(x) is first
