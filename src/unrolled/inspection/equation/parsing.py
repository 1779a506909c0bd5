"""Read an equation's plain text back: a grammar of its own, in which nothing is ever run.

    equation := name "=" compare
    compare  := sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum      := ["-"] term (("+" | "-") term)*
    term     := factor (("*" | "/") factor)*                element by element
    factor   := "-" factor | product
    product  := power (" " power)*                          matrix products, from the left
    power    := part ["^" part]
    part     := (number | name | function "(" list ")" | "(" compare ")" | "[" compare (";" compare)* "]") subscript*

A name may end in a time, ``h(t-1)``; a subscript, ``[0:3]`` or ``[:, None]``, follows without a space.
"""

import re
from dataclasses import dataclass
from typing import Any

from ...core import InputError

TOKENS = r"""(?P<space>\s+)
    |(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    |(?P<timed>[^\W\d]\w*'*\(CLOCK(?:-1)?\))
    |(?P<function>[^\W\d]\w*'*(?=\())
    |(?P<name>[^\W\d]\w*'*)
    |(?P<sign><=|>=|==|!=|[-+*/^()\[\],;:<>=])"""
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


@dataclass(frozen=True)
class Tree:
    """What a text says: an operation, its arguments, and what else it needs."""

    op: str
    args: tuple["Tree", ...] = ()
    data: tuple[Any, ...] = ()


def parse_line(text: str, clock: str = "t") -> tuple[str, Tree]:
    """The left-hand name of an equation, and its right-hand side."""
    parser = _Parser(" ".join(text.split()), clock)
    kind, name = parser.take()
    if kind not in ("name", "timed"):
        raise parser.error("a name")
    parser.expect("=")
    return name, parser.whole()


def parse(text: str, clock: str = "t") -> Tree:
    """A right-hand side."""
    return _Parser(" ".join(text.split()), clock).whole()


class _Parser:
    def __init__(self, text: str, clock: str):
        tokens = re.compile(TOKENS.replace("CLOCK", clock), re.VERBOSE)
        self.text, self.place = text, 0
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text):
            found = tokens.match(text, position)
            if found is None:
                raise InputError(f"equation: expected a name, a number or a sign, got {text[position:][:20]!r}.")
            self.tokens.append((str(found.lastgroup), found.group()))
            position = found.end()
        self.tokens.append(("end", ""))

    def error(self, wanted: str) -> InputError:
        rest = "".join(token for _, token in self.tokens[self.place :])
        return InputError(f"equation: expected {wanted}, got {rest[:20]!r} in {self.text!r}.")

    def peek(self) -> str:
        """The next sign or word, spaces left out."""
        place = self.place + (self.tokens[self.place][0] == "space")
        return self.tokens[place][1]

    def take(self) -> tuple[str, str]:
        if self.tokens[self.place][0] == "space":
            self.place += 1
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            raise self.error(repr(sign))
        self.take()

    def whole(self) -> Tree:
        tree = self.compare()
        if self.tokens[self.place][0] != "end":
            raise self.error("the end")
        return tree

    def compare(self) -> Tree:
        left = self.sum()
        if self.peek() in COMPARISONS:
            return Tree(COMPARISONS[self.take()[1]], (left, self.sum()))
        return left

    def sum(self) -> Tree:
        tree = self.term()
        while self.peek() in ("+", "-"):
            op = "add" if self.take()[1] == "+" else "sub"
            tree = Tree(op, (tree, self.term()))
        return tree

    def term(self) -> Tree:
        tree = self.factor()
        while self.peek() in ("*", "/"):
            op = "mul" if self.take()[1] == "*" else "div"
            tree = Tree(op, (tree, self.factor()))
        return tree

    def factor(self) -> Tree:
        if self.peek() == "-":
            self.take()
            inner = self.factor()
            return Tree("number", (), (-inner.data[0],)) if inner.op == "number" else Tree("neg", (inner,))
        tree = self.power()
        while self.tokens[self.place][0] == "space" and self._begins(self.place + 1):
            tree = Tree("matmul", (tree, self.power()))
        return tree

    def _begins(self, place: int) -> bool:
        kind, token = self.tokens[place]
        return kind in ("number", "timed", "function", "name") or token in ("(", "[")

    def power(self) -> Tree:
        base = self.part()
        if self.tokens[self.place][1] != "^":
            return base
        self.place += 1
        exponent = self.part()
        if exponent == Tree("name", (), ("T",)):
            return Tree("permute", (base,), (1, 0))
        return Tree("square", (base,)) if exponent == Tree("number", (), (2,)) else Tree("pow", (base, exponent))

    def part(self) -> Tree:
        kind, token = self.take()
        if kind == "number":
            tree = Tree("number", (), (float(token) if re.search(r"[.eE]", token) else int(token),))
        elif kind in ("name", "timed"):
            tree = Tree("number", (), (float(token),)) if token in ("inf", "nan") else Tree("name", (), (token,))
        elif kind == "function":
            self.expect("(")
            tree = Tree("call", tuple(self.listed(",", ")")), (token,))
        elif token == "(":
            tree = self.compare()
            self.expect(")")
        elif token == "[":
            tree = Tree("call", tuple(self.listed(";", "]")), ("cat",))
        else:
            self.place -= 1
            raise self.error("a value")
        while self.tokens[self.place][1] == "[":
            tree = self.subscript(tree)
        return tree

    def listed(self, between: str, end: str) -> list[Tree]:
        found = [] if self.peek() == end else [self.compare()]
        while self.peek() == between:
            self.take()
            found.append(self.compare())
        self.expect(end)
        return found

    def subscript(self, tree: Tree) -> Tree:
        """``a[0:3]``, ``a[:, 2:4]``, ``a[:, None]``."""
        self.place += 1
        items = [self._item()]
        while self.peek() == ",":
            self.take()
            items.append(self._item())
        self.expect("]")
        return Tree("index", (tree,), tuple(items))

    def _item(self) -> Any:
        if self.peek() == "None":
            self.take()
            return None
        numbers: list[int | None] = [None]
        while self.peek() not in (",", "]"):
            kind, token = self.take()
            if token == ":":
                numbers.append(None)
            elif kind == "number":
                numbers[-1] = int(token)
            else:
                raise self.error("a range")
        return tuple(numbers)
