"""The notations of texts: which symbol stands for what plays which part in an equation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...core import InputError, InputTypeError
from .expression import Expr, walk
from .lines import Draft
from .symbols import Leaf, Step, Symbols
from .text_form import is_parameter, terms


@dataclass(frozen=True)
class Notation:
    """Symbols by part."""

    x: str
    state: str
    output: str
    of_x: str  # the weights of x,
    of_state: str  # of the state,
    of_hidden: str  # and of what comes after
    bias: str
    output_bias: str
    inner: tuple[str, str] | None = None  # what the functions of the state and of the output are taken of
    clock: str = "t"


NOTATIONS = {
    "elman": Notation("x", "h", "y", "W_xh", "W_hh", "W_hy", "b_h", "b_y"),
    "unit": Notation("x", "h", "ŷ", "U", "W", "V", "b", "c", inner=("a", "o")),
    "state": Notation("x", "s", "y", "W_xs", "W_ss", "W_sy", "b_s", "b_y"),
    "general": Notation("u", "x", "y", "W_in", "W", "W_out", "b", "b_y", clock="n"),
    "neuron": Notation("x", "ŷ", "y", "w_x", "w_y", "w_o", "b", "b_o"),
}

FUNCTIONS = frozenset({"sigmoid", "softmax", "log_softmax", "relu", "sin", "tanh", "silu", "gelu", "elu", "softplus"})


def chosen(notation: str | Mapping[str, str] | None) -> Notation | None:
    """The notation of a name; None where the user's own names are wanted.

    Raises:
        InputError: there is none of this name.
        InputTypeError: neither a name nor a dict.
    """
    if notation is None or isinstance(notation, Mapping):
        return None
    if not isinstance(notation, str):
        raise InputTypeError(f"notation: expected a name or a dict of symbols, got {type(notation).__name__}.")
    if notation not in NOTATIONS:
        raise InputError(f"notation: expected one of {', '.join(NOTATIONS)}, or a dict of symbols, got {notation!r}.")
    return NOTATIONS[notation]


def inner_values(names: Sequence[str], results: Sequence[Expr]) -> dict[Expr, str]:
    """Of results, here (state, output), what their functions are taken of, with these names: they get lines."""
    found: dict[Expr, str] = {}
    for value, name in zip(results, names, strict=False):
        if value.op in FUNCTIONS and value.args[0].op in ("add", "sub", "matmul"):
            found.setdefault(value.args[0], name)
    return found


def overrides(notation: Mapping[str, str] | Notation, step: Step, symbols: Symbols) -> dict[Leaf, str]:
    """The symbols that a notation wants.

    Raises:
        InputError: a dict has a name that nothing in the equation has.
    """
    if isinstance(notation, Notation):
        return _by_part(notation, step)
    known = _known(step, symbols)
    for name in notation:
        if name not in known:
            raise InputError(f"notation: expected names of {', '.join(known)}, got {name!r}.")
    return {known[name]: symbol for name, symbol in notation.items()}


def _known(step: Step, symbols: Symbols) -> dict[str, Leaf]:
    """What a user can name: parameters as the step reaches them, and every symbol."""
    known: dict[str, Leaf] = {}
    finals = {symbol.name for symbol in symbols.outputs}
    for place, symbol in symbols.of.items():
        known.setdefault(symbol.name, place)
    for k, symbol in enumerate(symbols.outputs):
        if symbol.name in finals and symbol.name not in {symbols.of["state", k].name for k in range(len(step.after))}:
            known[symbol.name] = ("output", k)
    for key, path in enumerate(step.paths):
        known[path] = ("closed", key)
    return known


def _by_part(notation: Notation, step: Step) -> dict[Leaf, str]:
    found: dict[Leaf, str] = {("x", 0): notation.x, ("state", 0): notation.state}
    linear = bool(step.outputs) and step.outputs[0].op in ("add", "matmul")
    found["output", 0] = notation.inner[1] if notation.inner and linear else notation.output
    parts: dict[str, dict[int, None]] = {}
    for part, key in _parts(step):
        parts.setdefault(part, {})[key] = None
    for part, keys in parts.items():
        if len(keys) == 1:
            found["closed", next(iter(keys))] = getattr(notation, part)
    return found


def _parts(step: Step) -> Iterator[tuple[str, int]]:
    """Each parameter of a product or a sum, with the part that it plays where it is met first."""
    depends: dict[int, frozenset[str]] = {}
    seen: set[int] = set()
    for line in step.drafts:
        depends[line.key] = _dependence(line.right, depends)
        for part, key in _of_line(line, depends):
            if key not in seen:
                seen.add(key)
                yield part, key


def _of_line(line: Draft, depends: Mapping[int, frozenset[str]]) -> Iterator[tuple[str, int]]:
    expressions = walk(line.right)
    for expr in expressions:
        if expr.op in ("matmul", "each"):
            for own, other in (expr.args, expr.args[::-1]):
                if is_parameter(own) and not is_parameter(other):
                    yield _part_of(_dependence(other, depends)), _key(own)
    for expr in expressions:
        if expr.op in ("add", "sub"):
            found = [term for _, term in terms(expr)]
            products = [term for term in found if term.op in ("matmul", "each")]
            inner = {_part_of(_dependence(term, depends)) for term in products}
            for term in found:
                if is_parameter(term) and products:
                    yield ("output_bias" if inner == {"of_hidden"} else "bias"), _key(term)


def _part_of(sources: frozenset[str]) -> str:
    return {frozenset({"x"}): "of_x", frozenset({"state"}): "of_state"}.get(sources, "of_hidden")


def _key(expr: Expr) -> int:
    while expr.op != "leaf":
        expr = expr.args[0]
    key: int = expr.data[1]
    return key


def _dependence(expr: Expr, depends: Mapping[int, frozenset[str]]) -> frozenset[str]:
    """Which of x and the state a value depends on."""
    found: frozenset[str] = frozenset()
    for e in walk(expr):
        if e.op == "leaf":
            kind, key = e.data
            found |= depends.get(key, frozenset()) if kind == "value" else {kind} & {"x", "state"}
    return found


def weights_on_edges(step: Step, symbols: Symbols) -> dict[str, str]:
    """The symbol of the weight of the input, of the state and of the output, where there is one of each."""
    parts: dict[str, set[int]] = {}
    for part, key in _parts(step):
        parts.setdefault(part, set()).add(key)
    found = {}
    for edge, part in (("x", "of_x"), ("state", "of_state"), ("output", "of_hidden")):
        keys = parts.get(part, set())
        if len(keys) == 1 and ("closed", key := next(iter(keys))) in symbols.of:
            found[edge] = symbols.of["closed", key].name
    return found
