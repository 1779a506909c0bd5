"""What is known of a step, as text: a new process then needs neither the tracer nor the planner.

Only dataclasses of the compiler, tuples, numbers, names and dtypes are written, as JSON; nothing read is evaluated or
imported.
"""

import hashlib
import json
import sys
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..core import Tree
from .codegen.contract import Kernel, Part, Parts, Source
from .graph import Graph, Node, Ref
from .plan import Direction, Plan
from .runtime import find_text, store_text

KIND = "plan"


@dataclass(frozen=True)
class Known:
    """A step at one set of sizes and dtypes."""

    plan: Plan
    closed: tuple[int, ...]  # which of the reachable tensors the step uses
    output: Tree  # the structure of the output, None for each tensor
    after: Tree  # that of the state returned
    source: Source | None  # None: not compiled


_CLASSES: dict[str, Any] = {
    cls.__name__: cls for cls in (Direction, Graph, Kernel, Known, Node, Part, Parts, Plan, Ref, Source)
}


def store(key: str, known: Known) -> None:
    """Keep what is known under a key that says all that decides it; nothing is kept of what has no text."""
    try:
        text = json.dumps(encode(known), separators=(",", ":"))
    except TypeError:
        return
    store_text(KIND, _whole(key), text)


def find(key: str) -> Known | None:
    """What was kept under a key by this version of the compiler; None if there is nothing."""
    text = find_text(KIND, _whole(key))
    if text is None:
        return None
    try:
        found = decode(json.loads(text))
    except LookupError:  # a class of the user's is gone
        return None
    return found if isinstance(found, Known) else None


def _whole(key: str) -> str:
    return f"{_version()} {key}"


@cache
def _version() -> str:
    """A hash of the compiler's own text."""
    whole = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".h"):
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def encode(value: Any) -> Any:
    """A value as what JSON has."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is tuple:
        return [encode(item) for item in value]
    if kind is torch.dtype:
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, tuple) and _named_tuple(kind.__module__, kind.__qualname__) is kind:
        return {"tuple": [kind.__module__, kind.__qualname__, *(encode(item) for item in value)]}
    if _CLASSES.get(kind.__name__) is kind:
        return {kind.__name__: [encode(getattr(value, field.name)) for field in fields(kind)]}
    raise TypeError(f"{kind.__name__} has no text.")


def decode(value: Any) -> Any:
    """The value of what :func:`encode` has made."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    ((name, content),) = value.items()
    if name == "dtype":
        dtype = getattr(torch, content)
        assert isinstance(dtype, torch.dtype)
        return dtype
    if name == "tuple":
        module, qualname, *children = content
        kind = _named_tuple(module, qualname)
        if kind is None:
            raise LookupError(f"{module}.{qualname} is not there.")
        return kind(*(decode(item) for item in children))
    return _CLASSES[name](*(decode(item) for item in content))


def _named_tuple(module: str, qualname: str) -> Any:
    """The NamedTuple of this name in a module that is imported already; None if there is none."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields") else None
