"""How long a cell's file is: its lines of code, as a measure of how near it is to its equation."""

import ast
import inspect
import io
import tokenize
from pathlib import Path

NOT_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def lines_of(kind: type) -> int | None:
    """Lines of code of the file that defines a class; None where there is no such file."""
    try:
        path = inspect.getsourcefile(kind)
    except TypeError:
        path = None
    return None if path is None or not Path(path).is_file() else code_lines(Path(path).read_text(encoding="utf-8"))


def code_lines(source: str) -> int:
    """Lines that hold code, but for imports and docstrings; empty lines and comments hold none."""
    taken: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            taken |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and (isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node)):
            taken -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(taken)


def _is_text(node: ast.stmt) -> bool:
    """Whether this is a statement that is a string and nothing else, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
