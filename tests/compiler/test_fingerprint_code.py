"""The code of a step, and all that it names: closures, globals, modules, methods, what it wraps."""

import functools
import importlib.util
import math
import random
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unrolled import Cell, UnsupportedStep
from unrolled.compiler.fingerprint import digest, read

spec = importlib.util.spec_from_file_location("compiler_fingerprints", Path(__file__).with_name("fingerprints.py"))
fingerprints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fingerprints)
key, holding, Leaky = fingerprints.key, fingerprints.holding, fingerprints.Leaky

ALPHA = 0.5
LIMITS = [1, 2]
helpers = types.ModuleType("helpers_of_a_user")
exec("BETA = 2.0\nUNUSED = 1\ndef scale(a):\n    return a * BETA\n", helpers.__dict__)


def double(a):
    return a * ALPHA


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


def test_library_internals_are_not_followed():
    for library in (torch, F, np, math, functools):
        assert len(key(holding(library)).tokens) < 8
    assert len(key(holding(F.max_pool2d)).tokens) < 8
    assert len(key(Cell().step).tokens) < 20
