"""The text of an equation: operations dealt from the table, then the next states of whatever they leave."""

import random
import re
from dataclasses import dataclass

import torch

from . import elementwise, others, products, reductions, shapes
from .draw import Draw, Shape, Value, size_of

OPERATIONS = {
    **elementwise.OPERATIONS,
    **reductions.OPERATIONS,
    **products.OPERATIONS,
    **shapes.OPERATIONS,
    **others.OPERATIONS,
}
PRODUCTS = list(products.OPERATIONS)
REDUCTIONS = [*reductions.OPERATIONS, "addressing"]  # which has a softmax
FLAT = elementwise.FLAT | {"argmax"}  # their derivative is zero everywhere
NOT_DRAWN = [
    "prod",  # its derivative has no kernel
    "any and all",  # of a value without features they would mix rows
]
FLOAT32_ONLY = {"hardsigmoid"}  # torch's own derivative multiplies by a sixth that is rounded to float32

FINISHES = ("torch.tanh({z})", "torch.sin({z})", "({z}) / (1 + ({z}) ** 2)", "0.6 * {s} + 0.4 * torch.tanh({z})",
            "torch.where({s} > 0.05, torch.tanh({z}), 0.5 * {s} + torch.sin({z}))")  # fmt: skip


@dataclass(frozen=True)
class Equation:
    """A step's text, and what it needs."""

    seed: int
    number: int
    text: str
    x: Shape
    state: tuple[Shape, ...]
    parameters: tuple[tuple[str, Shape, float], ...]  # name, shape, largest element
    dtype: torch.dtype
    used: frozenset[str]  # operations of the table in the loop
    differentiated: frozenset[str]  # those that a gradient flows through

    def __str__(self) -> str:
        sizes = "".join(f"    {name}: {shape}\n" for name, shape, _ in self.parameters)
        return f"{self.name}: x {self.x}, state {self.state}\n{sizes}{self.text}"

    @property
    def name(self) -> str:
        return f"{self.dtype} equation {self.number} of seed {self.seed}".removeprefix("torch.")


def table(dtype: torch.dtype) -> list[str]:
    """The operations that occur in equations of a dtype."""
    return [
        name for name in OPERATIONS if name not in NOT_DRAWN and (dtype == torch.float32 or name not in FLOAT32_ONLY)
    ]


def write(seed: int, number: int, dtype: torch.dtype, forced: int = 5) -> Equation:
    """Equation ``number`` of a seed; the deck of all operations is dealt, ``forced`` to an equation."""
    names = table(dtype)
    deck = []
    for turn in range((number + 1) * forced // len(names) + 1):
        shuffled = list(names)
        random.Random(f"deck {seed} {turn} {dtype}").shuffle(shuffled)
        deck += shuffled
    rng = random.Random(f"equation {seed} {number} {dtype}")
    draw = Draw(rng)
    x, states = _start(draw)
    chosen = deck[number * forced : (number + 1) * forced]
    chosen += [rng.choice([name for name in PRODUCTS if name in names]) for _ in range(2)]
    chosen.append(rng.choice([name for name in REDUCTIONS if name in names]))
    rng.shuffle(chosen)
    owners = [""] * len(draw.lines)
    for name in chosen:
        draw.flat = name in FLAT
        OPERATIONS[name](draw)
        owners += [name] * (len(draw.lines) - len(owners))
    draw.flat = False
    _finish(draw, states)
    owners += [""] * (len(draw.lines) - len(owners))
    differentiated = _differentiated(draw.lines, owners)
    text = "\n        ".join(["x, (s0, s1) = x, state", *draw.lines])
    closed = [name for name, _, _ in draw.parameters if name.startswith("c")]
    text = f"def bind({', '.join(closed)}):\n    def step(self, x, state):\n        {text}\n    return step\n"
    return Equation(seed, number, text, x, states, tuple(draw.parameters), dtype, frozenset(chosen), differentiated)


def _differentiated(lines: list[str], owners: list[str]) -> frozenset[str]:
    """The operations through which the next states depend, differentiably, on something."""
    live, found = {"n0", "n1"}, set()
    for line, owner in zip(reversed(lines), reversed(owners), strict=True):
        left, _, right = line.partition(" = ")
        if live & set(re.findall(r"\w+", left)) and owner not in FLAT:
            live |= set(re.findall(r"[a-z]+\d+", right))
            found.add(owner)
    return frozenset(found - {""})


def _start(draw: Draw) -> tuple[Shape, tuple[Shape, ...]]:
    """The input and the states, of different ranks, in the pool; and a value of the input alone."""
    n, m = draw.size, draw.rng.choice([2, 3, 4])
    x = draw.rng.choice([(3,), (n,), (2, n)])
    states = draw.rng.choice(
        [((n,), (m, n)), ((n,), (n,)), ((m, n), (n, m)), ((2, m, 3), (n,)), ((n,), ()), ((4,), (m, 4))]
    )
    draw.inputs = size_of(x)
    draw.pool = [Value(f"s{k}", shape, 1.0) for k, shape in enumerate(states)]
    draw.waiting = list(draw.pool)
    draw.pool.append(Value("x", x, 1.5, state=False))
    draw.put(f"torch.tanh(x.flatten(1) @ {draw.parameter((size_of(x), n))})", (n,), 1, state=False)
    return x, states


def _finish(draw: Draw, states: tuple[Shape, ...]) -> None:
    """The next states, of all that was not read yet, and outputs that only look at them."""
    shares: list[list[Value]] = [[], []]
    for k, value in enumerate(v for v in draw.pool if v in draw.waiting and not v.name.startswith("s")):
        shares[k % 2].append(value)
    for k, (shape, share) in enumerate(zip(states, shares, strict=True)):
        terms = [draw.shaped(value, shape) for value in share] or [draw.shaped(Value("s0", states[0], 1.0), shape)]
        draw.lines.append(f"z{k} = {' + '.join(terms)} + {draw.parameter(shape)}")
        draw.lines.append(f"n{k} = {draw.rng.choice(FINISHES).format(z=f'z{k}', s=f's{k}')}")
    seen = draw.rng.choice([v for v in draw.pool if v.state and not v.name.startswith("s")])
    flat = "n0.reshape(-1, 1)" if not states[0] else "n0.flatten(1)"
    w = draw.parameter((size_of(states[0]), 3))
    draw.lines.append(f"return ({seen.name}, torch.softmax({flat} @ {w}, -1)), (n0, n1)")
