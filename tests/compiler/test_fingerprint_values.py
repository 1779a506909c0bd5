"""Values that a step holds: different ones read otherwise, equal ones alike."""

import collections
import enum
import functools
import importlib.util
import math
import operator
import sys
import threading
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unrolled.compiler.fingerprint import digest

spec = importlib.util.spec_from_file_location("compiler_fingerprints", Path(__file__).with_name("fingerprints.py"))
fingerprints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fingerprints)
key, holding = fingerprints.key, fingerprints.holding


def double(a):
    return 2 * a


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


def test_files_and_locks_are_opaque_and_kept_alive():
    with open(__file__) as file:
        assert key(holding(file)) == key(holding(file))
        assert digest(holding(file)) is None
    keys = {key(holding(threading.Lock())) for _ in range(50)}
    assert len(keys) == 50
