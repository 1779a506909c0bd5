"""Symbols for all that an equation speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...compiler.locals import PART
from .expression import Expr, walk
from .lines import Draft, depends_on_time, replaced
from .naming import Taken, best, latex_of, of_parameter, of_rows

Leaf = tuple[str, Any]  # kind and key: ("x", 0), ("state", 1), ("closed", 2), ("value", 3), ("rows", (2, 0, 5))


@dataclass(frozen=True)
class Symbol:
    """A name in an equation."""

    name: str
    time: int | None = None  # 0 for (t), -1 for (t-1); None for what is the same at each step

    def text(self, clock: str = "t") -> str:
        """As plain text, ``h(t-1)``."""
        return self.name + ("" if self.time is None else f"({clock}{'' if self.time == 0 else self.time})")

    def latex(self, clock: str = "t") -> str:
        """As LaTeX."""
        return latex_of(self.name) + ("" if self.time is None else f"({clock}{'' if self.time == 0 else self.time})")


@dataclass(frozen=True)
class Step:
    """What is known of a step before it has symbols."""

    outputs: tuple[Expr, ...]
    after: tuple[Expr, ...]  # the state
    inputs: int  # how many
    paths: tuple[str, ...]  # how the step reaches its tensors
    ranks: tuple[int, ...]  # and their numbers of axes
    drafts: tuple[Draft, ...]
    names: Mapping[Expr, list[tuple[int, str]]]

    def named(self, expr: Expr) -> list[str]:
        """What the user's code calls a value; the step's own names where it has any."""
        found = sorted(self.names.get(expr, ()))
        return [name for depth, name in found if depth == found[0][0]]

    def all_names(self, expr: Expr) -> list[str]:
        """Whatever the user's code calls a value anywhere."""
        return [name for _, name in self.names.get(expr, ())]

    def line_of(self, expr: Expr) -> Draft | None:
        """The line of a value."""
        return next((line for line in self.drafts if line.whole == expr), None)


@dataclass(frozen=True)
class Symbols:
    """The symbols of one equation."""

    of: dict[Leaf, Symbol]
    outputs: tuple[Symbol, ...]
    lines: tuple[Draft, ...]  # with parts of parameters as leaves ("rows", ...)
    rows: dict[Leaf, Expr]  # those parts


def leaf(kind: str, key: Any, shape: tuple[int, ...] = ()) -> Expr:
    """A leaf."""
    return Expr("leaf", (), shape, (kind, key))


def give_symbols(step: Step, wanted: Mapping[Leaf, str], clock: str = "t") -> Symbols:
    """Symbols by the user's names, and where ``wanted`` says otherwise by that."""
    taken, of = Taken(), dict[Leaf, Symbol]()
    if clock != "t":
        taken.give(clock)

    def give(key: Leaf, name: str, time: int | None) -> None:
        of[key] = Symbol(taken.give(wanted.get(key, name)), time)

    lines = {line.whole: line for line in step.drafts}
    state_leaves = [_leaf_like(step, "state", k) for k in range(len(step.after))]
    for k in range(step.inputs):
        give(("x", k), best(step.named(_leaf_like(step, "x", k)), "x"), 0)
    for k, (before, after) in enumerate(zip(state_leaves, step.after, strict=True)):
        give(("state", k), _state_name(step, before, after), -1)
    outputs: list[Symbol] = []
    finals: dict[int, Symbol] = {}
    for k, after in enumerate(step.after):
        if after in lines:
            finals.setdefault(lines[after].key, replace(of["state", k], time=0))
    for k, out in enumerate(step.outputs):
        line = lines.get(out)
        if line is None or line.key not in finals:
            own = [name for depth, name in step.names.get(out, ()) if depth % PART == 0] if line else []
            symbol = Symbol(taken.give(wanted.get(("output", k), best(own, "y"))), 0)
            outputs.append(symbol)
            if line is not None:
                finals[line.key] = symbol
        else:
            outputs.append(finals[line.key])
    letters = _letters(step, of, outputs)
    parted: dict[int, str] = {}  # parameters of which only parts are read, with the symbols that they would have
    for k, (path, rank) in enumerate(zip(step.paths, step.ranks, strict=True)):
        wish = wanted.get(("closed", k), of_parameter(path, rank, letters))
        if _is_read(step, k, whole=True):
            of["closed", k] = Symbol(taken.give(wish))
        elif _is_read(step, k, whole=False):
            parted[k] = wish
    _name_lines(step, taken, of, finals, wanted)
    drafts, rows = _name_rows(step, taken, of, parted, letters["h"])
    return Symbols(of, tuple(outputs), tuple(drafts), rows)


def _leaf_like(step: Step, kind: str, key: int) -> Expr:
    """The leaf of an input or state as the lines have it, with its shape."""
    candidates = [*step.names, *(part for line in step.drafts for part in walk(line.whole))]
    return next((e for e in candidates if e.op == "leaf" and e.data == (kind, key)), leaf(kind, key))


def _is_read(step: Step, key: int, *, whole: bool) -> bool:
    """Whether a parameter is read; ``whole``: not in parts of rows alone."""
    place = ("closed", key)
    if not whole:
        every = [e for line in step.drafts for e in walk(line.right)] + [*step.after, *step.outputs]
        return any(e.op == "leaf" and e.data == place for e in every)
    right = [line.right for line in step.drafts] + [*step.after, *step.outputs]
    readers = [e for root in right for e in walk(root) if e.op != "slice" or e.data[0] != 0]
    direct = [arg for e in readers for arg in e.args] + right
    return any(e.op == "leaf" and e.data == place for e in direct)


def _state_name(step: Step, before: Expr, after: Expr) -> str:
    old, new = step.all_names(before), step.all_names(after) if after.op != "leaf" else []
    both = [name for name in old if name in new]
    return best(both, "") or best(step.named(before), "") or best(step.named(after), "s")


def _letters(step: Step, of: Mapping[Leaf, Symbol], outputs: Sequence[Symbol]) -> dict[str, str]:
    """What the letters i, h, o of a parameter's name are called here."""
    hidden = any("h" in step.named(line.whole) for line in step.drafts if line.whole not in step.after)
    found = {"i": of["x", 0].name if step.inputs else "i", "h": "h", "o": "y"}
    if ("state", 0) in of and not hidden:
        found["h"] = of["state", 0].name
    if outputs and outputs[0].name not in {symbol.name for key, symbol in of.items() if key[0] == "state"}:
        found["o"] = outputs[0].name
    return {letter: name if len(name) == 1 else letter for letter, name in found.items()}


def _name_lines(
    step: Step, taken: Taken, of: dict[Leaf, Symbol], finals: Mapping[int, Symbol], wanted: Mapping[Leaf, str]
) -> None:
    others = [line for line in step.drafts if line.key not in finals]
    wishes = {line.key: wanted.get(("value", line.key), best(line.names, "a")) for line in others}
    many = {name for name in wishes.values() if list(wishes.values()).count(name) > 1}
    timed: set[int] = set()
    count = dict.fromkeys(many, 0)
    for line in step.drafts:
        if line.key in finals:
            of["value", line.key] = finals[line.key]
            timed.add(line.key)
            continue
        name = wishes[line.key]
        if name in many:
            count[name] += 1
            name = f"{name}_{count[name]}"
        is_timed = depends_on_time(line.right, timed)
        if is_timed:
            timed.add(line.key)
        of["value", line.key] = Symbol(taken.give(name), 0 if is_timed else None)


def _name_rows(
    step: Step, taken: Taken, of: dict[Leaf, Symbol], parted: Mapping[int, str], hidden: str
) -> tuple[list[Draft], dict[Leaf, Expr]]:
    """Symbols for the parts of parameters, where each has a line or a value of the user's to be called after."""
    owners = _owners(step, of)
    table: dict[Expr, Expr] = {}
    rows: dict[Leaf, Expr] = {}
    by_tensor: dict[int, list[Expr]] = {}
    for expr in owners:
        by_tensor.setdefault(expr.args[0].data[1], []).append(expr)
    for key, parts in by_tensor.items():
        base = of["closed", key].name if key not in parted else parted[key]
        for choice in range(2):
            names = [_rows_name(step, base, part, owners[part][choice], hidden) for part in parts]
            if all(names) and len(set(names)) == len(names) and not set(names) & taken.names:
                for part, name in zip(parts, names, strict=True):
                    place: Leaf = ("rows", (key, *part.data))
                    of[place] = Symbol(taken.give(name))
                    rows[place] = part
                    table[part] = leaf("rows", (key, *part.data), part.shape)
                break
        else:
            if key in parted:
                of["closed", key] = Symbol(taken.give(base))
    return [replace(line, right=replaced(line.right, table)) for line in step.drafts], rows


def _owners(step: Step, of: Mapping[Leaf, Symbol]) -> dict[Expr, tuple[set[str], set[str]]]:
    """For each part of a parameter: the lines that read it, and the innermost values with names that do."""
    found: dict[Expr, tuple[set[str], set[str]]] = {}
    keys = {line.whole: line.key for line in step.drafts}
    for line in step.drafts:
        own = of["value", line.key].name
        waiting, seen = [(line.whole, own)], set()
        while waiting:
            expr, near = waiting.pop()
            if (expr, near) in seen or (expr in keys and keys[expr] != line.key):
                continue
            seen.add((expr, near))
            names = [name for depth, name in step.names.get(expr, ()) if depth == 0]
            near = best(names, near) if names and expr is not line.whole else near
            if expr.op == "slice" and expr.args[0].op == "leaf" and expr.args[0].data[0] == "closed":
                lines, values = found.setdefault(expr, (set(), set()))
                lines.add(own)
                values.add(near)
            waiting.extend((arg, near) for arg in expr.args)
    return found


def _rows_name(step: Step, base: str, part: Expr, readers: set[str], hidden: str) -> str:
    own = [name for depth, name in step.names.get(part, ()) if depth == 0]
    if own:
        return own[0]
    return of_rows(base, next(iter(readers)), hidden) if len(readers) == 1 and part.data[0] == 0 else ""
