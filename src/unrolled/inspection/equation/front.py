"""``equations``: what a step computes, read off its trace and written as on paper."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...compiler.build import trace_alone
from ...compiler.fallback import raise_own_error
from ...compiler.fingerprint import Reading, read
from ...compiler.locals import Recorder
from ...compiler.trace import Traced
from ...core import InputError, Tree, UnrolledError, Unrolling, leaves
from ..names import reached_names
from ..settled import settled
from .expression import Expr, walk
from .latex_form import latex
from .lines import draft
from .lowering import Lowering
from .notations import chosen, inner_values, overrides, weights_on_edges
from .printed import Equations, Line, Meaning
from .rules import fold
from .symbols import Leaf, Step, Symbol, Symbols, give_symbols, leaf
from .text_form import text


def equations(
    cell: Any,
    x: Tree | None = None,
    state: Tree | None = None,
    *,
    notation: str | Mapping[str, str] | None = None,
    format: str = "text",  # noqa: A002  as in the words of a user
) -> Equations:
    """The equations of a cell, from the trace of its step: what is printed is what runs.

    Nothing is read off the source text: the step is traced as for the compiler, and each operation of it stands in the
    result. Values have the names of the user's own parameters and local variables.

    Args:
        cell: a cell, a ``Recurrent``, or a step function ``(x, state) -> (output, state)``.
        x: an example input of a whole sequence, as :func:`unrolled.unroll` takes it. Default: zeros of the cell's
            ``input_size``.
        state: an example state, by default ``cell.initial_state(B)``; a step function needs one.
        notation: ``"elman"``, ``"unit"``, ``"state"``, ``"general"`` or ``"neuron"``, the symbols of a text; or a dict
            from names, of parameters or as printed without it, to the symbols wanted.
        format: what ``str`` gives, ``"text"`` or ``"latex"``.

    Returns:
        An object to print, with ``lines`` and a ``legend`` as data, ``text`` and ``latex``.

    Raises:
        UnsupportedStep: the step cannot be traced, or mixes the rows of the batch.
        InputError: an unknown notation or format, an example that is missing or of the wrong shape.
        InputTypeError: ``cell`` is none.

    Example:
        >>> from unrolled.cells import Elman
        >>> print(equations(Elman(3, 5)))
        h(t) = tanh(W_xh x(t) + W_hh h(t-1) + b_h)
        >>> def leaky(x, s):
        ...     s = 0.9 * s + x
        ...     return s, s
        >>> print(equations(leaky, torch.zeros(1, 1, 2), torch.zeros(1, 2)))
        s(t) = 0.9 * s(t-1) + x(t)
    """
    if format not in ("text", "latex"):
        raise InputError(f"format: expected 'text' or 'latex', got {format!r}.")
    return read_off(cell, x, state, notation, format)


def read_off(
    cell: Any,
    x: Tree | None,
    state: Tree | None,
    notation: str | Mapping[str, str] | None,
    form: str = "text",
    inner: tuple[str, ...] = (),
) -> Equations:
    """As :func:`equations`; ``inner``: the names of what the functions of the state and of the output are taken of,
    each a line of its own.
    """
    style = chosen(notation)
    inner = (style.inner or inner) if style else inner
    name, step, run = settled(cell, x, state)
    reading = read(step)
    traced, recorder = _traced(step, run, reading)
    tensors = [reading.tensors[k] for k in traced.closed]
    facts = _facts(traced, recorder, reached_names(reading.names), tensors, inner)
    clock = "t" if style is None else style.clock
    symbols = give_symbols(facts, {}, clock)
    wanted = notation if isinstance(notation, Mapping) else style
    if wanted is not None:
        symbols = give_symbols(facts, overrides(wanted, facts, symbols), clock)
    return _assembled(name, facts, symbols, tensors, (traced.output[0], traced.after), clock, form)


def _traced(step: Any, run: Unrolling, reading: Reading) -> tuple[Traced, Recorder]:
    """The trace, and the names of its values; without names where watching the step is what it cannot bear."""
    with torch.no_grad():
        recorder = Recorder(step)
        try:
            return trace_alone(step, run, reading, recorder), recorder
        except UnrolledError:
            recorder = Recorder(step, watch=False)
        try:
            return trace_alone(step, run, reading, recorder), recorder
        except UnrolledError as refusal:
            raise_own_error(step, run, refusal)
            raise


def _facts(
    traced: Traced, recorder: Recorder, paths: Sequence[str], tensors: Sequence[Tensor], inner: tuple[str, ...]
) -> Step:
    """What the trace says, as expressions, and which of them get lines."""
    graph = traced.graph
    kinds: dict[int, Leaf] = {}
    for kind, indices in (("x", graph.x), ("state", graph.state), ("closed", graph.closed)):
        kinds.update({index: (kind, k) for k, index in enumerate(indices)})
    lowering = Lowering(graph, kinds, fold)
    count = len(leaves(traced.output[0]))
    outputs = tuple(lowering.expr(index) for index in graph.output[:count])
    after = tuple(lowering.expr(index) for index in graph.new_state)
    names: dict[Expr, list[tuple[int, str]]] = {}
    for local, index in zip(recorder.found, graph.output[count:], strict=True):
        names.setdefault(lowering.expr(index), []).append((local.depth, local.name))
    place: dict[Expr, int] = {}
    for index in sorted(lowering.made):
        place.setdefault(lowering.made[index], index)
    wanted = inner_values(inner, (*after[:1], *outputs[:1]))
    return Step(
        outputs,
        after,
        len(graph.x),
        tuple(paths[k] for k in traced.closed),
        tuple(tensor.dim() for tensor in tensors),
        tuple(draft([*after, *outputs], names, place, wanted)),
        names,
    )


def _assembled(
    name: str,
    step: Step,
    symbols: Symbols,
    tensors: Sequence[Tensor],
    structure: tuple[Tree, Tree],
    clock: str,
    form: str,
) -> Equations:
    lines = [_line(symbols.of["value", line.key], line.right, symbols, clock) for line in symbols.lines]
    keys = {line.whole: line.key for line in symbols.lines}
    finals = []
    for k, value in enumerate(step.after):
        own = Symbol(symbols.of["state", k].name, 0)
        finals.append(own)
        if value not in keys or symbols.of["value", keys[value]] != own:
            lines.append(_line(own, _leaf_of(value, keys), symbols, clock))
    for value, symbol in zip(step.outputs, symbols.outputs, strict=True):
        if value not in keys:
            lines.append(_line(symbol, value, symbols, clock))
    used = {e.data for line in lines for e in _leaves(line.right)}
    legend = [*_ends(step, symbols, finals, (lines, structure))]
    parameters = [item for item in symbols.of.items() if item[0][0] in ("closed", "rows")]
    for place, symbol in sorted(parameters, key=lambda item: _in_order_of_use(item[0])):
        kind, key = place
        if kind == "closed" and place in used:
            legend.append(Meaning(symbol, step.paths[key], tuple(tensors[key].shape), step.paths[key]))
        elif kind == "rows":
            _, start, stop, by = key[1:]
            item = f"{start}:{stop}" + (f":{by}" if by != 1 else "")
            what = f"{step.paths[key[0]]}[{', '.join([*[':'] * key[1], item])}]"
            legend.append(Meaning(symbol, what, symbols.rows[place].shape, step.paths[key[0]], key[1:]))
    return Equations(
        name,
        tuple(lines),
        tuple(legend),
        tuple(symbols.of["x", k] for k in range(step.inputs)),
        tuple(symbols.of["state", k] for k in range(len(step.after))),
        tuple(finals),
        symbols.outputs,
        weights_on_edges(step, symbols),
        clock,
        form,
        structure,
        dict(zip(step.paths, tensors, strict=True)),
    )


def _in_order_of_use(place: Leaf) -> tuple[int, ...]:
    """A parameter's place among those that the step reads, and that of the part."""
    return (place[1],) if place[0] == "closed" else tuple(place[1])


def _ends(
    step: Step, symbols: Symbols, finals: Sequence[Symbol], found: tuple[Sequence[Line], tuple[Tree, Tree]]
) -> Iterator[Meaning]:
    """The input, the state and the output."""
    lines, structure = found
    for k in range(step.inputs):
        shapes = [e.shape for line in lines for e in _leaves(line.right) if e.data == ("x", k)]
        yield Meaning(symbols.of["x", k], "input", shapes[0] if shapes else ())
    for symbol, like in zip(finals, leaves(structure[1]), strict=True):
        yield Meaning(symbol, "state", tuple(like.shape[1:]))
    for symbol, like in zip(symbols.outputs, leaves(structure[0]), strict=True):
        if symbol not in finals:
            yield Meaning(symbol, "output", tuple(like.shape[1:]))


def _leaves(expr: Expr) -> list[Expr]:
    return [e for e in walk(expr) if e.op == "leaf"]


def _leaf_of(value: Expr, keys: Mapping[Expr, int]) -> Expr:
    return leaf("value", keys[value], value.shape) if value in keys else value


def _line(symbol: Symbol, right: Expr, symbols: Symbols, clock: str) -> Line:
    plain = text(right, lambda e: symbols.of[e.data].text(clock))
    typeset = latex(right, lambda e: symbols.of[e.data].latex(clock))
    return Line(symbol, right, f"{symbol.text(clock)} = {plain}", f"{symbol.latex(clock)} = {typeset}")
