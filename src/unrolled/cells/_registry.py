"""Which cells two sizes are enough to make, and the names by which they are looked up.

Not imported by ``cells`` itself: it reads what the package exports.
"""

import inspect

from .. import cells
from ..core import Cell

ALIASES = {"general": "generalrnn", "antisymmetric": "antisymmetricrnn", "clockwork": "clockworkrnn"}


def made_of_two_sizes() -> dict[str, type[Cell]]:
    """Every cell that features read and features kept are enough to make, by the name of its class."""
    found: dict[str, type[Cell]] = {}
    for name in cells.__all__:
        kind = getattr(cells, name)
        if isinstance(kind, type) and issubclass(kind, Cell):
            first, *others = inspect.signature(kind).parameters.values()
            needed = [p for p in others if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            if first.name == "input_size" and len(needed) <= 1:
                found[name] = kind
    return found


def plain_name(name: str) -> str:
    """A cell's name as it is looked up: ``Output-Feedback`` is ``outputfeedback``."""
    plain = name.casefold().replace("-", "").replace("_", "")
    return ALIASES.get(plain, plain)
