"""What a user calls the value of a function call: read from the source, at the exact place of the call."""

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType

_LONGEST = 16  # characters of an expression that stands for a name


@dataclass(frozen=True)
class Place:
    """A call in a source file; the numbers are those of ``ast``."""

    file: str
    line: int
    end_line: int | None = None
    column: int | None = None  # in bytes, as is the next
    end_column: int | None = None

    @classmethod
    def of(cls, frame: FrameType) -> "Place":
        """The call that a frame is in."""
        code = frame.f_code
        for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
            if index == frame.f_lasti // 2 and line is not None:
                return cls(code.co_filename, line, end_line, column, end_column)
        return cls(code.co_filename, frame.f_lineno or 0)

    @property
    def line_name(self) -> str:
        """``cell.py:12``."""
        return f"{self.file.replace(chr(92), '/').rpartition('/')[2]}:{self.line}"


@lru_cache(maxsize=1024)
def name_of(place: Place) -> str:
    """What a call gives, in the user's words: what is computed from (``f`` of ``sigmoid(f)``), or else what it is
    assigned to (``r`` of ``r = sigmoid(a + b)``), or else the expression; empty where there is no source.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(place.file)))
    except SyntaxError:
        return ""
    found = next(_calls_at(tree, place), None)
    if found is None:
        return ""
    call, statement = found
    argument = _argument(call)
    target = _target(statement, call)
    if target and not isinstance(argument, ast.Name | ast.Attribute):
        return target
    return _short(argument)


def _calls_at(tree: ast.AST, place: Place) -> Iterator[tuple[ast.Call, ast.stmt]]:
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.stmt) or hasattr(statement, "body"):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset) == (
                place.line,
                place.end_line,
                place.column,
                place.end_column,
            ):
                yield node, statement


def _argument(call: ast.Call) -> ast.expr:
    """What a function, or a tensor's method, is computed from."""
    first = call.args[0] if call.args else call.func.value if isinstance(call.func, ast.Attribute) else call
    return first.value if isinstance(first, ast.Starred) else first


def _target(statement: ast.stmt, call: ast.Call) -> str:
    """The variable that is just this call."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return ""
    target, value = statement.targets[0], statement.value
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for one, of in pairs:
        if of is call and isinstance(one, ast.Name | ast.Attribute):
            return _short(one)
    return ""


def _short(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and node.args and not isinstance(node.args[0], ast.Call):
        node = ast.Call(node.func, node.args[:1], [])  # what it is given besides says little
    text = ast.unparse(node).removeprefix("self.")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]}.."
