"""What no key can stand for is refused: iterators, random numbers of Python."""

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from unrolled import Cell, UnsupportedStep
from unrolled.compiler.fingerprint import digest, read

spec = importlib.util.spec_from_file_location("compiler_fingerprints", Path(__file__).with_name("fingerprints.py"))
fingerprints = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fingerprints)
key, holding = fingerprints.key, fingerprints.holding

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


def test_too_deep_a_nest_says_so():
    nest = []
    for _ in range(5000):
        nest = [nest]
    with pytest.raises(UnsupportedStep, match="nested too deeply"):
        read(holding(nest))
