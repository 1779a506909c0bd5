"""Every rule of a fingerprint in both directions: a change shows, and what is equal reads as equal."""

import collections
import enum
import functools
import math
import operator
import os
import random
import subprocess
import sys
import threading
import types
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from unrolled import Cell, UnsupportedStep, cells
from unrolled.compiler.fingerprint import digest, read, same

ALPHA = 0.5
TABLE = torch.ones(3)
LIMITS = [1, 2]
helpers = types.ModuleType("helpers_of_a_user")
exec("BETA = 2.0\nUNUSED = 1\ndef scale(a):\n    return a * BETA\n", helpers.__dict__)


def key(step):
    return read(step).key


def double(a):
    return a * ALPHA


class Leaky(Cell):
    rate = 0.1

    def __init__(self, dt=0.1):
        super().__init__()
        self.dt, self.hidden_size = dt, 3
        self.W = nn.Parameter(torch.ones(3, 3))
        self.inner = nn.Linear(3, 3)
        self.register_buffer("offset", torch.zeros(3))

    @property
    def leak(self):
        return self.dt * self.rate

    def mix(self, a):
        return torch.tanh(self.inner(a))

    def unused(self):
        return 0

    def step(self, x, h):
        h = (1 - self.leak) * h + self.mix(x @ self.W) + self.offset
        return h, h


def holding(value):
    def step(x, h):
        return x, value

    return step


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


class Point(NamedTuple):
    x: float
    y: float


class Place(NamedTuple):
    x: float
    y: float


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


class Level(enum.IntEnum):
    FAST = 1


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


@dataclass
class Config:
    dt: float = 0.1
    size: int = 3


class Hostile:
    """Its comparisons may never be asked."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        raise AssertionError("__eq__ was called")

    __hash__ = None

    def __getattr__(self, name):
        raise AssertionError(f"{name} was looked up")


class Words(list):
    pass


def _cyclic(value):
    items = [value]
    items.append(items)
    return items


DIFFERENT = {
    "numbers": [
        1,
        1.0,
        True,
        1 + 0j,
        np.float64(1),
        np.float32(1),
        np.int64(1),
        "1",
        b"1",
        bytearray(b"1"),
        Level.FAST,
        None,
    ],
    "zeros": [0.0, -0.0, 0, False, complex(0.0, -0.0), 0j, math.nan, math.inf],
    "tuples": [
        (),
        (1,),
        (1, 2),
        [1, 2],
        {1, 2},
        frozenset({1, 2}),
        collections.deque([1, 2]),
        collections.deque([1, 2], 5),
    ],
    "nested": [
        (1, (2, 3)),
        ((1, 2), 3),
        (1, 2, 3),
        (1, [2, 3]),
        Point(1, 2),
        Place(1, 2),
        torch.Size([1, 2]),
        range(1, 2),
    ],
    "dicts": [{"a": 1}, {"a": 2}, {"b": 1}, {1: "a"}, collections.OrderedDict(a=1), types.MappingProxyType({"a": 1})],
    "order": [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
    "defaults": [collections.defaultdict(int), collections.defaultdict(list), {}],
    "slices": [slice(1), slice(1, 2), slice(1, 2, 3), ..., range(3), range(4)],
    "torch": [torch.float32, torch.float64, torch.device("cpu"), torch.device("meta"), "cpu", torch.strided],
    "arrays": [
        np.ones(3),
        np.ones((3, 1)),
        np.zeros(3),
        np.ones(3, np.float32),
        np.ones(1000),
        np.arange(1000.0),
        np.array([1, "a"], object),
        np.array([1, "b"], object),
        np.zeros(3, "f4,i4"),
        np.zeros(3, "i4,f4"),
        np.ma.ones(3),
    ],
    "enums": [Mode.FAST, Mode.SLOW, Level.FAST, "FAST"],
    "objects": [
        Config(),
        Config(0.2),
        Config(size=4),
        Slotted(1),
        Slotted(2),
        types.SimpleNamespace(dt=0.1),
        Hostile(1),
        Hostile(2),
    ],
    "subclasses": [Words([1]), Words([2]), [1]],
    "cycles": [_cyclic(1), _cyclic(2), [1, [1]]],
    "functions": [
        torch.tanh,
        torch.relu,
        F.relu,
        F.softmax,
        math.tanh,
        np.tanh,
        double,
        len,
        torch.Tensor.tanh,
        operator.add,
    ],
    "classes": [int, float, Config, nn.Linear, Mode],
    "modules": [
        nn.Tanh(),
        nn.ReLU(),
        nn.Sequential(nn.Tanh()),
        nn.Softplus(1),
        nn.Softplus(2),
        nn.ModuleList(),
        nn.Linear(2, 3),
    ],
    "operators": [torch.ops.aten.add, torch.ops.aten.add.Tensor, torch.ops.aten.mul],
    "partials": [functools.partial(double), functools.partial(double, 1), functools.partial(double, a=1)],
    "things": [
        threading.Lock(),
        threading.Lock(),
        object(),
        object(),
        torch.Generator(),
        torch.Generator(),
        sys.stdout,
    ],
    "exceptions": [ValueError(1), ValueError(2)],
}


@pytest.mark.parametrize("group", DIFFERENT)
def test_different_values_read_otherwise_and_the_same_value_alike(group):
    keys = [key(holding(value)) for value in DIFFERENT[group]]
    assert [len([k for k in keys if k == one]) for one in keys] == [1] * len(keys)
    assert [key(holding(value)) for value in DIFFERENT[group]] == keys
    assert [hash(key(holding(value))) for value in DIFFERENT[group]] == [hash(k) for k in keys]
    digests = [found for value in DIFFERENT[group] if (found := digest(holding(value))) is not None]
    assert len(set(digests)) == len(digests) or group == "things"
    assert (len(digests) == len(keys)) == (group not in ("things", "exceptions"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: math.nan * 1,
        lambda: float("nan"),
        lambda: np.array([1.0, np.nan]),
        lambda: np.arange(10_000.0),
        lambda: np.float32("nan"),
        lambda: {"b": [1, 2], "a": (1.5, None)},
        lambda: set("abcdefgh"),
        lambda: Point(1.0, 2.0),
        lambda: Config(),
        lambda: Slotted([1]),
        lambda: _cyclic(1),
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh()),
        lambda: functools.partial(double, 2),
        lambda: collections.OrderedDict(a=1),
        lambda: torch.Size([2, 3]),
        lambda: torch.ones(2, 3),
        lambda: lambda a: a + 1,
        lambda: slice(1, None),
        lambda: Mode.FAST,
    ],
)
def test_equal_values_made_anew_read_alike(make):
    assert key(holding(make())) == key(holding(make()))
    assert digest(holding(make())) == digest(holding(make())) is not None


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


def test_a_lambda_made_anew_reads_alike_where_it_holds_equal_values():
    def make(k, w):
        return lambda x, h: (x * k, h @ w)

    assert key(make(2.0, torch.ones(2))) == key(make(2.0, torch.zeros(2)))
    assert key(make(2.0, torch.ones(2))) != key(make(3.0, torch.ones(2)))
    assert key(make(2, torch.ones(2))) != key(make(2.0, torch.ones(2)))
    assert key(make(2, torch.ones(2))) != key(lambda x, h: (x * 2, h @ 2))


def test_defaults_and_keyword_defaults():
    def step(x, h, gain=1.0, *, bias=0.0):
        return x * gain, h + bias

    before = key(step)
    step.__defaults__ = (2.0,)
    changed = key(step)
    step.__kwdefaults__ = {"bias": 1.0}
    assert len({before, changed, key(step)}) == 3


def test_an_empty_closure_is_no_error():
    def outer():
        def step(x, h):
            return later, h

        found = key(step)
        later = 1.0
        return found, key(step)

    empty, filled = outer()
    assert empty != filled


def test_globals_named_anywhere_in_the_code(monkeypatch):
    def step(x, h):
        def inner(a):
            return double(a)

        return inner(x), [LIMITS[0] + i for i in range(2)]

    def other(x, h):
        return x, h

    before, untouched = key(step), key(other)
    monkeypatch.setitem(globals(), "ALPHA", 0.6)
    assert key(step) != before
    monkeypatch.setitem(globals(), "ALPHA", 0.5)
    assert key(step) == before
    LIMITS.append(3)
    assert key(step) != before
    LIMITS.pop()
    monkeypatch.setitem(globals(), "double", lambda a: a)
    assert key(step) != before
    assert key(other) == untouched


def test_a_users_module_gives_only_what_the_code_names(monkeypatch):
    def step(x, h):
        return helpers.scale(x), h

    before = key(step)
    monkeypatch.setattr(helpers, "UNUSED", 2)
    assert key(step) == before
    monkeypatch.setattr(helpers, "BETA", 3.0)
    assert key(step) != before
    monkeypatch.setattr(helpers, "BETA", 2.0)
    assert key(step) == before
    monkeypatch.setattr(helpers, "scale", lambda a: a)
    assert key(step) != before


def test_modules_that_the_step_itself_imports(monkeypatch):
    def step(x, h):
        from helpers_of_a_user import BETA

        return x * BETA, h

    def drawing(x, h):
        import random

        return x * random.random(), h

    monkeypatch.setitem(sys.modules, helpers.__name__, helpers)
    before = key(step)
    monkeypatch.setattr(helpers, "UNUSED", 2)
    assert key(step) == before
    monkeypatch.setattr(helpers, "BETA", 3.0)
    assert key(step) != before
    with pytest.raises(UnsupportedStep, match="random numbers of Python"):
        read(drawing)


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


def test_a_method_found_by_a_string_or_without_a_name(monkeypatch):
    class Scaled:
        def __init__(self):
            self.a = 1.0

        def __mul__(self, other):
            return self.a * other

        def grow(self):
            return 2.0

    scaled = Scaled()

    def step(x, h):
        return scaled * x, getattr(scaled, "grow")()  # noqa: B009

    for name in ("__mul__", "grow"):
        before = key(step)
        monkeypatch.setattr(Scaled, name, lambda self, *others: 3.0)
        assert key(step) != before


def test_super_and_helpers_of_a_base(monkeypatch):
    class Base(Cell):
        def step(self, x, h):
            return self.shift(x), h

        def shift(self, x):
            return x + ALPHA

    class Derived(Base):
        def __init__(self):
            super().__init__()
            self.start = random.random()  # not of the step

        def step(self, x, h):
            return super().step(x, h)

    cell = Derived()
    before = key(cell.step)
    assert key(cell.step) == before
    monkeypatch.setattr(Base, "shift", lambda self, x: x)
    assert key(cell.step) != before


def test_a_class_that_the_step_makes_instances_of(monkeypatch):
    class State:
        def __init__(self, h):
            self.h = h * ALPHA

    def step(x, h):
        return x, State(h)

    before = key(step)
    monkeypatch.setitem(globals(), "ALPHA", 0.7)
    assert key(step) != before


def test_a_decorated_step_is_followed_into_what_it_wraps():
    def make(k):
        @torch.no_grad()
        def step(x, h):
            return x * k, h

        return step

    def cached(k):
        return functools.lru_cache(lambda a: a * k)

    assert key(make(1.0)) == key(make(1.0)) != key(make(2.0))
    assert digest(make(1.0)) != digest(make(2.0))
    assert key(holding(cached(1))) == key(holding(cached(1))) != key(holding(cached(2)))


def test_callables():
    class Step:
        def __init__(self, k):
            self.k = k

        def __call__(self, x, h):
            return x * self.k, h

        @classmethod
        def of_class(cls, x, h):
            return x, h

        @staticmethod
        def static(x, h):
            return x, h

    assert key(Step(1)) == key(Step(1)) != key(Step(2))
    assert key(Step(1).__call__) != key(Step(2).__call__)
    assert len({key(Step.of_class), key(Step.static), key(Step), key(Step(1))}) == 4
    assert key(torch.ones(2).add) == key(torch.zeros(2).add) != key(torch.ones(2).mul)


ITERATORS = {
    "an iterator": lambda: iter([1, 2]),
    "a generator": lambda: (i for i in range(3)),
    "a counter": lambda: __import__("itertools").count(),
    "random.Random": lambda: random.Random(0),
    "a draw": lambda: random.Random(0).gauss,
    "a builtin draw": lambda: random.random,
    "numpy's": lambda: np.random.default_rng(0),
    "numpy's old": lambda: np.random.RandomState(0),
    "the module": lambda: random,
}


@pytest.mark.parametrize("name", ITERATORS)
def test_iterators_and_random_numbers_of_python_are_refused(name):
    with pytest.raises(UnsupportedStep, match=r"step reads closure\.value, (an iterator|random numbers of Python)"):
        read(holding(ITERATORS[name]()))
    with pytest.raises(UnsupportedStep, match=r"closure\.value\[0\]\['a'\]"):
        digest(holding([{"a": ITERATORS[name]()}]))


def test_random_modules_are_refused_where_the_code_names_them():
    with pytest.raises(UnsupportedStep, match=r"globals\.random,"):
        read(lambda x, h: (x * random.random(), h))
    with pytest.raises(UnsupportedStep, match=r"globals\.np\.random,"):
        read(lambda x, h: (x * np.random.rand(), h))
    read(lambda x, h: (x * np.pi + torch.random.initial_seed(), h))


def test_an_iterator_that_the_step_does_not_name_is_no_matter():
    class WithStart(Cell):
        def __init__(self):
            super().__init__()
            self.draws = np.random.default_rng(0)

        def initial_state(self, batch_size, **options):
            return torch.full((batch_size, 1), self.draws.random())

        def step(self, x, h):
            return x, h

    class WithDraws(WithStart):
        def step(self, x, h):
            return x, h + self.draws.random()

    cell = WithStart()
    assert key(cell.step) == key(cell.step)
    with pytest.raises(UnsupportedStep, match=r"self\.draws, random numbers of Python"):
        read(WithDraws().step)


def test_files_and_locks_are_opaque_and_kept_alive():
    with open(__file__) as file:
        assert key(holding(file)) == key(holding(file))
        assert digest(holding(file)) is None
    keys = {key(holding(threading.Lock())) for _ in range(50)}
    assert len(keys) == 50


def test_too_deep_a_nest_says_so():
    nest = []
    for _ in range(5000):
        nest = [nest]
    with pytest.raises(UnsupportedStep, match="nested too deeply"):
        read(holding(nest))


def test_library_internals_are_not_followed():
    for library in (torch, F, np, math, functools):
        assert len(key(holding(library)).tokens) < 8
    assert len(key(holding(F.max_pool2d)).tokens) < 8
    assert len(key(Cell().step).tokens) < 20


PROGRAM = """
import enum
import torch
from torch import nn
from unrolled import Cell
from unrolled.compiler.fingerprint import digest
{filler}
GAIN = {gain}

class Mode(enum.Enum):
    FAST = {mode}

def helper(a):
    return {helper}

class Mine(Cell):
    {twist}
    def __init__(self):
        super().__init__()
        self.names = {{"a", "b", "c", "d"}}
        self.mode, self.table = Mode.FAST, {{"x": 1.0}}
        self.inner = nn.Linear(2, 2)

    @property
    def rate(self):
        return {rate}

    def other(self, a):
        return {other}

    def step(self, x, h):
        if self.mode in {{1, 2, "a", "b", Mode.FAST}}:
            h = h + 1
        return {step}, self.inner(h) * self.rate

print(digest(Mine().step))
"""
PLAIN = {
    "filler": "",
    "gain": "1.0",
    "mode": "1",
    "helper": "a * GAIN",
    "twist": "",
    "rate": "0.5",
    "other": "helper(a)",
    "step": "self.other(x)",
}
CHANGES = [
    {},
    {"gain": "2.0"},
    {"mode": "3"},
    {"helper": "a + GAIN"},
    {"rate": "0.25"},
    {"other": "helper(a) + 1"},
    {"step": "self.other(x) + 1"},
    {"twist": "def unnamed(self): return 1"},
]
OF_CELLS = """
from unrolled import cells
for cell in [cells.LSTM(2, 3), cells.GRU(2, 3), cells.Elman(2, 3, 2, "softmax"), cells.Jordan(2, 3)]:
    print(digest(cell.step))
"""


def digests(folder, seed, filler):
    """The digests of the program, changed in each way, and of some cells, all found by another process."""
    folder.mkdir()
    main = ["import runpy"]
    for number, change in enumerate(CHANGES):
        path = folder / f"program_{number}.py"
        path.write_text(PROGRAM.format(**PLAIN | change | {"filler": filler}) + (OF_CELLS if not change else ""))
        main.append(f"runpy.run_path({str(path)!r}, run_name='program')")
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "\n".join(main)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.split()


def test_the_digest_is_alike_in_every_process_and_knows_the_code(tmp_path):
    first = digests(tmp_path / "here", 1, "")
    assert digests(tmp_path / "elsewhere", 2, "\n\n# moved down\n") == first
    assert all(len(found) == 64 for found in first)
    assert len(set(first)) == len(first) == len(CHANGES) + 4


def test_a_reading_takes_far_less_than_a_trace():
    import time

    step = cells.LSTM(3, 4).step
    read(step)
    best = math.inf
    for _ in range(200):
        start = time.perf_counter()
        read(step)
        best = min(best, time.perf_counter() - start)
    assert best < 2e-3  # some twenty microseconds
