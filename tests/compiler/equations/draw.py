"""An equation while it is drawn: its values, and how an operation takes some and puts others."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

Shape = tuple[int, ...]  # of one row


@dataclass(frozen=True)
class Value:
    """A tensor of an equation, by its name in the text."""

    name: str
    shape: Shape
    bound: float  # about the largest element
    generic: bool = True  # no two elements equal, none a round number: it may stand before a kink
    state: bool = True  # depends on the state


class Draw:
    """An equation while it is written; operations take values from ``pool`` and put their results there."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.size = rng.choice([3, 4, 5, 6, 8, 9, 17])
        self.inputs = 0  # features of x
        self.pool: list[Value] = []
        self.waiting: list[Value] = []  # not read yet
        self.generic = True  # all that was read since the last result
        self.flat = False  # the operation has no derivative: another must read its operands too
        self.lines: list[str] = []
        self.parameters: list[tuple[str, Shape, float]] = []

    def choose(self, *options: str) -> str:
        return self.rng.choice(options)

    def parameter(self, shape: Shape, bound: float = 0.7, letter: str = "self.p") -> str:
        self.parameters.append((f"{letter}{len(self.parameters)}", shape, bound))
        return self.parameters[-1][0]

    def pick(self, accept: Callable[[Shape], object] = lambda shape: True, *, generic: bool = False) -> Value:
        """A value that depends on the state and has such a shape, made from another if there is none."""
        found = [v for v in self.pool if v.state and accept(v.shape)]
        fresh = [v for v in found if v in self.waiting]
        if not found:
            shape = next(s for s in ((self.size,), (4,), (3, self.size), (2, 4)) if accept(s))
            text = self.shaped(self.pick(), shape)
            return self.read(self.put(text, shape, 2.0, generic=".expand(" not in text))
        value = self.read(self.rng.choice(fresh if fresh and self.rng.random() < 0.7 else found))
        if generic and not value.generic:
            self.generic = True
            value = self.read(self.put(f"{value.name} + {self.parameter(value.shape)}", value.shape, value.bound + 0.7))
        return value

    def read(self, value: Value) -> Value:
        if value in self.waiting and not self.flat:
            self.waiting.remove(value)
        self.generic &= value.generic
        return value

    def put(self, text: str, shape: Shape, bound: float, *, generic: bool = True, state: bool = True) -> Value:
        """A new value, scaled if it may be large."""
        if bound > 4:
            text, bound = f"{2 / bound:.3g} * ({text})", 2.0
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.pool.append(Value(name, shape, bound, generic and self.generic, state))
        self.generic = True
        self.waiting.append(self.pool[-1])
        return self.pool[-1]

    def other(self, shape: Shape, *, generic: bool = False) -> tuple[str, float]:
        """Something to stand beside a value of this shape: text that broadcasts to it, and its bound."""
        fitting = [v for v in self.pool if fits(v.shape, shape) and (v.generic or not generic)]
        kind = self.rng.random()
        if fitting and kind < 0.6:
            value = self.read(self.rng.choice(fitting))
            return self.fit(value, shape), value.bound
        if kind < 0.75:
            return self.parameter(shape), 0.7
        if kind < 0.9:
            start = self.rng.randrange(len(shape) + 1)
            cut = tuple(1 if self.rng.random() < 0.3 else n for n in shape[start:])
            return self.parameter(cut, letter="self.p" if self.rng.random() < 0.5 else "c"), 0.7
        return f"{self.rng.uniform(-1.5, 1.5):.2f}", 1.5

    def fit(self, value: Value, shape: Shape) -> str:
        missing = len(shape) - len(value.shape)
        if not missing:
            return value.name
        ones = ", None" * missing
        return self.choose(
            f"{value.name}[:{ones}]",
            f"{value.name}.{'.'.join(['unsqueeze(1)'] * missing)}",
            f"{value.name}.view({', '.join(map(str, (-1, *([1] * missing), *value.shape)))})",
        )

    def shaped(self, value: Value, shape: Shape) -> str:
        """A value brought to a shape: broadcast, or by a product."""
        if fits(value.shape, shape):
            return f"{self.fit(value, shape)}.expand({', '.join(map(str, (-1, *shape)))})"
        flat = (
            value.name
            if len(value.shape) == 1
            else f"{value.name}.reshape({', '.join(map(str, (-1, size_of(value.shape))))})"
        )
        weight = self.parameter((size_of(value.shape), size_of(shape)), 1.5 / math.sqrt(size_of(value.shape)))
        product = f"({flat} @ {weight})"
        return product if len(shape) == 1 else f"{product}.view({', '.join(map(str, (-1, *shape)))})"

    def axis(self, shape: Shape) -> tuple[int, str]:
        """One of the features' axes, as its place in the shape and as text."""
        axis = self.rng.choice([k for k, n in enumerate(shape) if n > 1] or [0])
        return axis, self.choose(str(axis + 1), str(axis - len(shape)))


def fits(shape: Shape, wanted: Shape) -> bool:
    tail = wanted[len(wanted) - len(shape) :]
    return len(shape) <= len(wanted) and all(n in (1, m) for n, m in zip(shape, tail, strict=True))


def size_of(shape: Shape) -> int:
    return math.prod(shape)


def some_axis(shape: Shape) -> bool:
    return any(n > 1 for n in shape)


def long_axis(shape: Shape) -> bool:
    return bool(shape) and shape[-1] > 2


Write = Callable[[Draw], object]


def entering(table: dict[str, Write]) -> Callable[[str], Callable[[Write], Write]]:
    """A decorator that enters a way to write an operation in a table, by the operation's name."""

    def operation(name: str) -> Callable[[Write], Write]:
        def enter(write: Write) -> Write:
            table[name] = write
            return write

        return enter

    return operation
