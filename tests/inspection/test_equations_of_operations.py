"""Equations of every operation that the compiler is tested with, and of random steps: the text is the step."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from unrolled import equations
from unrolled.core import leaves, map_tree

COMPILER = Path(__file__).parents[1] / "compiler"


def module(path):
    """A module, or a folder of modules, of the compiler's tests; tests are not on the path."""
    name = f"of_the_compiler_{path.stem}"
    file = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(name, file)
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


OPERATIONS, STEPS = module(COMPILER / "test_every_operation.py"), module(COMPILER / "steps.py")
RANDOM = module(COMPILER / "equations")


def assert_the_text_is_the_step(step, x, state):
    """Of three rows, with random numbers."""
    found = equations(step, x, state)
    now = map_tree(lambda leaf: leaf[0], x)
    state = map_tree(lambda leaf: 2 * torch.rand_like(leaf) - 1, state)
    with torch.no_grad():
        expected = getattr(step, "step", step)(now, state)
    for ours, theirs in zip(leaves(found.evaluate(now, state)), leaves(expected), strict=True):
        torch.testing.assert_close(ours, theirs.double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("group", ["SMOOTH", "KINKED", "REDUCTIONS", "PRODUCTS", "SHAPES"])
def test_operations(group):
    torch.manual_seed(0)
    operations = list(getattr(OPERATIONS, group).values())

    def step(x, states):
        return x, tuple(operation(state) for operation, state in zip(operations, states, strict=True))

    state = tuple(torch.zeros(3, 4, dtype=torch.float64) for _ in operations)
    assert_the_text_is_the_step(step, torch.zeros(1, 3, 2, dtype=torch.float64), state)


@pytest.mark.parametrize("name", ["Odd", "Memory", "Heads", "Solver"])
def test_steps_that_ask_much(name):
    torch.manual_seed(0)
    cell = getattr(STEPS, name)().double()
    x = torch.randn(1, 3, cell.input_size, dtype=torch.float64)
    assert_the_text_is_the_step(cell, x, cell.initial_state(3))


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_random_steps(first):
    torch.manual_seed(first)
    written = [RANDOM.write(0, number, torch.float64) for number in range(first, first + 6)]
    cell = RANDOM.Together(written, torch.float64)
    x = tuple(torch.randn(1, 3, *one.x, dtype=torch.float64) for one in written)
    state = tuple(tuple(torch.zeros(3, *shape, dtype=torch.float64) for shape in one.state) for one in written)
    assert_the_text_is_the_step(cell, x, state)


A, C = torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
SIGNS = {
    "divisions": lambda a, b: (
        a / (b / a) + a / b / (a + 3) + 3 * (a / (b * a)) + a * (b / a) + (a * b) / a + a / (b + 2)
    ),
    "differences": lambda a, b: a - (b - a) - (a + b) - -(a - b) + (-a) * b + a * -b - (-a - b),
    "powers": lambda a, b: (-a) ** 2 + (a * b) ** 2 + -(a**2) + (a**2) ** 2 + (b * b + 1) ** (a + b) + 2.0**-a,
    "products": lambda a, b: a @ (A @ C) + (a @ A) @ C + (a * b) @ A + a * (b @ A) + (a + b) @ A.T - -a @ C,
    "comparisons": lambda a, b: torch.where(a + b < a * b, -a, (a > b).to(a.dtype) * 2 + (a <= 0.1)),
    "parts of products": lambda a, b: ((a[:, :, None] * b[:, None]) @ C)[:, :, 1:3].flatten(1)[:, ::2],
    "parts of parts": lambda a, b: torch.cat([(a @ A)[:, 1:][:, :2], (b @ A.T + a)[:, 1::2]], 1),
    "parts of a column": lambda a, b: (a[:, :, None] + b[:, None, :1] * A)[:, 1:3, 2] @ A[:2],
    "numbers": lambda a, b: a / 3 - b * (1 / 3) + 2**0.5 * a - 1e-7 * b + 1e20 * a - 0.1 * (-2) * b + a * 2.0,
}


@pytest.mark.parametrize("name", SIGNS)
def test_signs_parentheses_and_parts(name):
    torch.manual_seed(0)
    formula = SIGNS[name]

    def step(x, state):
        a, b = state
        return formula(a, b), (b, a)

    state = (torch.zeros(3, 4, dtype=torch.float64),) * 2
    assert_the_text_is_the_step(step, torch.zeros(1, 3, 2, dtype=torch.float64), state)
