"""From the tracer's aten operations to the few that the compiler knows (compiler/operations.py).

Each kind of operation has its file; an operation with a handler in none of them stays aten's: torch can run it
before or after the loop and in an interpreted plan, but no kernel can.
"""

from .normaliser import Normaliser, line_of

__all__ = ["Normaliser", "line_of"]
