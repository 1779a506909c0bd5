"""Symbols: what a parameter, an input, a state and a line is called in an equation."""

import re
from collections.abc import Iterable, Sequence

GENERIC = frozenset({"state", "states", "hidden", "carry", "new_state", "next_state", "hx", "output", "out", "outputs"})
"""Names that say what a value is for, not what it is called."""

RESERVED = frozenset({"T", "t", "None", "inf", "nan"})
GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "pi",
    "rho", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip  # without sigma, by which the logistic function is written


class Taken:
    """Names that are given to one thing only."""

    def __init__(self, names: Iterable[str] = ()):
        self.names = set(names) | RESERVED

    def give(self, wanted: str) -> str:
        """``wanted``, with primes if another thing has it."""
        wanted = identifier(wanted)
        while wanted in self.names:
            wanted += "'"
        self.names.add(wanted)
        return wanted


def identifier(name: str) -> str:
    """A name of letters, digits, underscores and primes."""
    name = re.sub(r"[^\w']+", "_", name).strip("_") or "a"
    return name if not name[0].isdigit() else f"a_{name}"


def best(names: Sequence[str], fallback: str) -> str:
    """The name that says most: one that is not generic, and the shortest of these."""
    own = [name for name in names if name not in GENERIC]
    return min(own, key=len) if own else fallback


def of_parameter(path: str, rank: int, letters: dict[str, str]) -> str:
    """The symbol of a parameter by its name.

    ``weight_ih`` is W_xh and ``bias_h`` b_h: of the letters i, h and o, by which PyTorch's names say where a weight
    comes from and goes to, each is the name that the input, the state or the output has here. ``inner.weight`` is
    W_inner, the ``cell.`` of a wrapper is left out, and any other name stays as it is.

    Args:
        path: how the step reaches it.
        rank: its number of axes.
        letters: what i, h and o are called.
    """
    words = [word for word in re.split(r"[._]", path.replace("cell.", "")) if word]
    kind = next((word for word in words if word in ("weight", "bias")), None)
    if kind is None:
        return identifier(path.replace("cell.", ""))
    rest = [word for word in words if word != kind]
    last = rest[-1] if rest else ""
    if rest and len(rest) == 1 and set(last) <= set("iho") and len(last) <= 2:
        rest = ["".join(letters[letter] for letter in last)]
    head = "b" if kind == "bias" else ("W" if rank > 1 else "w")
    return identifier("_".join([head, *rest]))


def of_rows(symbol: str, line: str, hidden: str) -> str:
    """The symbol of those rows of a parameter that one line reads: of W_xh in the line r it is W_xr, of U it is U_r.

    Args:
        symbol: that of the whole parameter.
        line: the name of the line.
        hidden: the letter by which W_xh says where it goes to.
    """
    head, _, tail = symbol.partition("_")
    if len(tail) == 2 and tail[1] == hidden:
        return f"{head}_{tail[0]}{line}" if len(line) == 1 else f"{head}_{tail[0]}_{line}"
    return f"{symbol}_{line}"


def latex_of(name: str) -> str:
    """A symbol as LaTeX, without its time."""
    primes = len(name) - len(name.rstrip("'"))
    head, _, tail = name.rstrip("'").partition("_")
    text = _letters(head)
    if tail == "hat":
        return rf"\hat{{{text}}}" + "'" * primes
    if tail:
        parts = [part if len(part) <= 2 else _letters(part) for part in tail.split("_")]
        text += "_{" + ",".join(parts) + "}"
    return text + "'" * primes


def _letters(word: str) -> str:
    if word in GREEK:
        return "\\" + word
    if word == "ŷ":
        return r"\hat{y}"
    if len(word) == 1 or not word.isascii():
        return word
    found = re.fullmatch(r"([A-Za-z])(\d+)", word)
    return f"{found[1]}_{{{found[2]}}}" if found else rf"\mathrm{{{word}}}"
