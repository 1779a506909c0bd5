"""The hand-written C that every generated kernel begins with: elementary functions, matrix products, the driver."""

from functools import cache
from importlib.resources import files

REALS = ("packing.h", "reals.h", "product.h", "total.h", "small.h")
HALVES = ("packing.h", "bfloat16.h", "product.h", "total.h")
REAL, DOUBLE = ("float", "float", "float", "f"), ("double", "double", "double", "d")
HALF = ("float", "u_pair", "uint16_t", "h")
"""Of each type: what a number is outside, an item, a number in an item, and the suffix of functions."""


@cache
def prelude(bfloat16: bool = False) -> str:
    """Return the C text; products occur in it for float, for double and, if asked for, for bfloat16."""
    products = [_for_type(*REAL, REALS), _for_type(*DOUBLE, REALS)]
    defined = []
    if bfloat16:
        products.append(_for_type(*HALF, HALVES))
        defined.append("#define U_BF16")
    return "\n".join([*defined, _read("math.h"), _read("vectors.h"), *products, _read("helpers.h"), _read("driver.h")])


def without_prelude(text: str) -> str:
    """What of a kernel's source is its own."""
    for bfloat16 in (False, True):
        before = prelude(bfloat16)
        if text.startswith(before):
            return text.removeprefix(before)
    raise AssertionError("expected a source that begins with the prelude")


def gemm() -> str:
    """The C text of products outside a step, for all three types."""
    return "\n".join([prelude(True), *(_for_type(*one, ("gemm.h",)) for one in (REAL, DOUBLE, HALF))])


def scan() -> str:
    """The C text of a recurrence that is linear, in parallel over time, for float and double."""
    return "\n".join([prelude(), *(_for_type(*one, ("scan.h",)) for one in (REAL, DOUBLE))])


def _for_type(real: str, item: str, packed: str, suffix: str, names: tuple[str, ...]) -> str:
    macros = {"u_real": real, "u_item": item, "u_packed": packed, "u_T(name)": f"name##_{suffix}"}
    if real == item:
        macros |= {"u_LANES": f"U_LANES_{suffix.upper()}", "u_FMA": f"U_FMA_{suffix.upper()}"}
    defined = "".join(f"#define {name} {text}\n" for name, text in macros.items())
    undefined = "".join(f"#undef {name.partition('(')[0]}\n" for name in macros)
    return defined + "\n".join(_read(name) for name in names) + undefined


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
