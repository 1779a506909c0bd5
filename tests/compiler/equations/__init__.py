"""Random equations: steps in plain PyTorch, written as text from a table of operations by a seed.

``write(seed, number)`` is a pure function. Every equation has two states, at least two products with the state and
a reduction; whatever it computes in the loop reaches the next state. A value's bound is followed through the
operations, and a value that would grow is scaled, so that nothing overflows and no logarithm is near zero.
"""

from .cells import Together
from .text import FLAT, Equation, table, write

__all__ = ["FLAT", "Equation", "Together", "table", "write"]
