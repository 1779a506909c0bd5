"""What a code object could look up: its globals, names in anything it reaches, and what Python looks up for it."""

import dis
import operator
from collections.abc import Hashable
from dataclasses import dataclass
from types import CodeType

from .fingerprint_digest import Is, Unnameable, code_digest

# What a step calls without a name: operators and protocols, and where it makes an object
_OPERATORS = {name for name in dir(operator) if name.startswith("__") and callable(getattr(operator, name))}
IMPLICIT = frozenset(
    _OPERATORS
    | {f"__r{name[2:]}" for name in _OPERATORS}
    | {"__bool__", "__call__", "__enter__", "__exit__", "__float__", "__get__", "__getattr__", "__getattribute__"}
    | {"__int__", "__iter__", "__len__", "__missing__", "__set__", "__setattr__", "__torch_function__"}
    | {"backward", "forward", "setup_context"}
)
CONSTRUCTION = frozenset({"__init__", "__new__", "__post_init__"})


@dataclass(frozen=True)
class Mentions:
    """A code object with those nested in it."""

    code: CodeType  # held, so that its id stays its own
    digest: Hashable
    globals: tuple[str, ...]
    names: dict[str, None]  # every name, and every string that could be one, in order
    draws: frozenset[str]  # the globals of which the code takes the attribute `random`
    imports: tuple[tuple[int, str], ...]  # modules imported by the code itself: dots before the name, and the name


_KNOWN: dict[int, Mentions] = {}  # by id: the hash of a code object is slow


def mentions(code: CodeType) -> Mentions:
    """What a code object mentions; found once."""
    return _KNOWN.get(id(code)) or _KNOWN.setdefault(id(code), _find(code))


def _find(code: CodeType) -> Mentions:
    global_names: dict[str, None] = {}
    names = dict.fromkeys(code.co_names)
    draws: set[str] = set()
    imports: dict[tuple[int, str], None] = {}
    last_global = None
    instructions = list(dis.get_instructions(code))
    for place, instruction in enumerate(instructions):
        operation, name = instruction.opname, instruction.argval
        if last_global is not None and name == "random" and operation in ("LOAD_ATTR", "LOAD_METHOD"):
            draws.add(last_global)
        last_global = name if operation in ("LOAD_GLOBAL", "LOAD_NAME") else None
        if operation.endswith("_GLOBAL") or operation in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            global_names[name] = None
        if operation == "IMPORT_NAME":
            imports[instructions[place - 2].argval, name] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = mentions(constant)
            global_names.update(dict.fromkeys(inner.globals))
            names.update(inner.names)
            draws |= inner.draws
            imports.update(dict.fromkeys(inner.imports))
        elif isinstance(constant, str) and constant.isidentifier():
            names[constant] = None  # getattr(self, "name")
    try:
        digest: Hashable = code_digest(code)
    except Unnameable:  # constants that no Python source can give
        digest = Is(code)
    return Mentions(code, digest, tuple(global_names), names, frozenset(draws), tuple(imports))
