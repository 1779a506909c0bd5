"""The hand-written C that every generated kernel begins with: elementary functions, matrix products, the driver."""

from functools import cache
from importlib.resources import files

REALS = ("packing.h", "reals.h", "product.h", "total.h", "small.h")
HALVES = ("packing.h", "bfloat16.h", "product.h", "total.h")


@cache
def prelude(bfloat16: bool = False) -> str:
    """Return the C text; products occur in it for float, for double and, if asked for, for bfloat16."""
    products = [_products(real, suffix) for real, suffix in (("float", "f"), ("double", "d"))]
    halves = "#ifdef U_BF16\n" + _for_type("float", "u_pair", "uint16_t", "h", HALVES) + "#endif\n"
    defined = ["#define U_BF16"] if bfloat16 else []
    return "\n".join(
        [*defined, _read("math.h"), _read("vectors.h"), *products, halves, _read("helpers.h"), _read("driver.h")]
    )


def without_prelude(text: str) -> str:
    """What of a kernel's source is its own."""
    for bfloat16 in (False, True):
        before = prelude(bfloat16)
        if text.startswith(before):
            return text.removeprefix(before)
    raise AssertionError("expected a source that begins with the prelude")


def _products(real: str, suffix: str) -> str:
    lanes = {"u_LANES": f"U_LANES_{suffix.upper()}", "u_FMA": f"U_FMA_{suffix.upper()}"}
    return _for_type(real, real, real, suffix, REALS, lanes)


def _for_type(
    real: str, item: str, packed: str, suffix: str, names: tuple[str, ...], more: dict[str, str] | None = None
) -> str:
    macros = {"u_real": real, "u_item": item, "u_packed": packed, "u_T(name)": f"name##_{suffix}", **(more or {})}
    defined = "".join(f"#define {name} {text}\n" for name, text in macros.items())
    undefined = "".join(f"#undef {name.partition('(')[0]}\n" for name in macros)
    return defined + "\n".join(_read(name) for name in names) + undefined


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
