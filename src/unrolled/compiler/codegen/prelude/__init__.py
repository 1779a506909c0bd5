"""The hand-written C that every generated kernel begins with: elementary functions, matrix products, the driver."""

from functools import cache
from importlib.resources import files


@cache
def prelude() -> str:
    """Return the C text; product.h occurs twice in it, for float and for double."""
    products = [_product(real, suffix) for real, suffix in (("float", "f"), ("double", "d"))]
    return "\n".join([_read("math.h"), _read("vectors.h"), *products, _read("helpers.h"), _read("driver.h")])


def _product(real: str, suffix: str) -> str:
    macros = {
        "u_real": real,
        "u_T(name)": f"name##_{suffix}",
        "u_LANES": f"U_LANES_{suffix.upper()}",
        "u_FMA": f"U_FMA_{suffix.upper()}",
    }
    defined = "".join(f"#define {name} {text}\n" for name, text in macros.items())
    undefined = "".join(f"#undef {name.partition('(')[0]}\n" for name in macros)
    return defined + _read("product.h") + undefined


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
