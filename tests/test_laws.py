"""The two laws of the rooms, read off the source tree, and what the core may import."""

import ast
import re
import sys
from pathlib import Path

import pytest

import unrolled
from unrolled import cells

SOURCE = Path(unrolled.__file__).parent

# The rooms in their order, each with the rooms that it may import besides itself. The errors and trees of
# `core` are everybody's; a model or a task names the cells that it is made of.
ROOMS = {
    "core": set(),
    "cells": {"core"},
    "compiler": {"core"},
    "layers": {"core", "cells", "compiler"},
    "nn": {"core", "cells", "layers"},
    "models": {"core", "cells", "layers"},
    "training": {"core"},
    "tasks": {"core", "cells", "layers", "models", "training"},
    "inspection": {"core", "compiler", "layers"},
    "bench": {"core", "cells", "compiler", "layers"},
    "cli": {"core", "cells", "compiler", "layers", "models", "training", "tasks", "inspection", "bench"},
}
LIGHT = {"core", "cells", "layers", "nn"}  # these import nothing but the standard library and:
LIGHT_MAY = {"torch", "numpy", "unrolled"}


def modules_of(root):
    """Every Python file in a room with its name as a package path: ``core/tree.py`` is ``unrolled.core.tree``."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if len(parts) > 1:
            yield path, ["unrolled", *parts]


def imported(path, name):
    """(line, dotted name) of everything that a file imports, relative names resolved, strings too."""
    package = name[:-1]  # of `a/__init__.py` the name is [..., a, __init__]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + node.module.split(".") if node.module else base
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = node.args[0].value
            if function in ("import_module", "__import__") and isinstance(target, str):
                level = len(target) - len(target.lstrip("."))
                base = package[: len(package) - level + 1] if level else []
                yield node.lineno, ".".join([*base, target.lstrip(".")])


def room_of(dotted):
    """The room that an imported name of ours lives in; None of what is not ours."""
    parts = dotted.split(".")
    if parts[0] != "unrolled" or len(parts) == 1:
        return None
    if parts[1] in unrolled._HOME:  # from unrolled import Recurrent
        return unrolled._HOME[parts[1]]
    return parts[1]


def broken_imports(root):
    """Every import that points to a room which the importing room may not know."""
    faults = []
    for path, name in modules_of(root):
        room = name[1]
        if room not in ROOMS:
            faults.append(f"{path.relative_to(root)}: the room {room}/ is not in the table of rooms")
            continue
        for line, target in imported(path, name):
            other = room_of(target)
            where = f"{path.relative_to(root)}:{line}"
            if other in ROOMS and other != room and other not in ROOMS[room]:
                faults.append(f"{where}: {room} may not import {other} ({target})")
            if target == "unrolled" or target.startswith("unrolled.*"):
                faults.append(f"{where}: import the room, not the package that imports every room")
            top = target.split(".")[0]
            if room in LIGHT and top not in LIGHT_MAY | set(sys.stdlib_module_names):
                faults.append(f"{where}: {room} may not import {top}")
    return faults


def cells_named_in_the_compiler(root, names):
    """Every place in compiler/, of any kind of file, where a cell's name stands as a whole word."""
    word = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
    files = [path for path in sorted((root / "compiler").rglob("*")) if path.is_file()]
    return [
        f"{path.relative_to(root)}:{number}: {found[0]}"
        for path in files
        if path.suffix != ".pyc"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if (found := word.search(line))
    ] + [f"{path.relative_to(root)}: {found[0]}" for path in files if (found := word.search(path.stem))]


def class_names():
    return [name for name in cells.__all__ if isinstance(getattr(cells, name), type)]


def test_imports_never_point_from_an_earlier_room_to_a_later_one():
    order = list(ROOMS)
    for room, may in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in may)
    assert broken_imports(SOURCE) == []


def test_no_cells_name_appears_in_the_compiler():
    assert {"LSTM", "GRU", "Elman", "Jordan"} <= set(class_names())
    assert cells_named_in_the_compiler(SOURCE, class_names()) == []


def test_every_room_was_read():
    read = {name[1] for _, name in modules_of(SOURCE)}
    assert {"core", "cells", "layers"} <= read <= set(ROOMS)


BAD = {
    "core/a.py": "from ..layers import Recurrent",
    "core/b.py": "def f():\n    import unrolled.cells.gru",
    "core/c.py": "import scipy.linalg",
    "core/d.py": "from unrolled import Stack",
    "cells/a.py": "from .. import compiler",
    "cells/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..layers.stack import Stack",
    "compiler/a.py": "from ..cells import named",
    "compiler/codegen/a.py": "from ...layers.unroll import unroll",
    "layers/a.py": "import importlib\nimportlib.import_module('unrolled.models')",
    "layers/b.py": "from importlib import import_module\nimport_module('..tasks', __package__)",
    "layers/c.py": "import pandas as pd",
    "layers/d.py": "import unrolled",
    "models/a.py": "from ..training import train",
    "training/a.py": "from ..layers import Stack",
    "inspection/a.py": "from ..cells import Elman",
    "inspection/b.py": "def f():\n    from ..tasks.cells import cell_factory",
    "bench/a.py": "from ..tasks.text import data",
    "attic/a.py": "",
}
GOOD = {
    "__init__.py": "from . import cells",
    "core/__init__.py": "from .tree import leaves",
    "core/tree.py": "import torch, numpy\nfrom collections import abc",
    "cells/gru.py": "from ..core import Cell\nfrom ._shared import named",
    "compiler/codegen/c.py": "from ...core import Tree\nfrom ..plan import Plan",
    "layers/a.py": "from unrolled import Cell\nfrom ..compiler import compile",
    "training/a.py": "import accelerate\nfrom ..core import CheckpointError",
    "inspection/a.py": "from ..compiler.plan import Plan\nfrom ..core import Tree\nfrom ..layers import Recurrent",
    "cli/a.py": "def run():\n    from ..tasks import text\n    import rich",
}


def plant(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_the_checker_finds_every_bad_import(tmp_path):
    plant(tmp_path, BAD)
    found = {fault.split(":")[0] for fault in broken_imports(tmp_path)}
    assert found == set(BAD)


def test_the_checker_lets_good_imports_pass(tmp_path):
    plant(tmp_path, GOOD)
    assert broken_imports(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "bad"),
    [
        ("a.py", "if type(cell).__name__ == 'LSTM':", True),
        ("a.py", "x = 1  # as in an lstm", True),
        ("codegen/a.c", "/* the Gru's gates */", True),
        ("a.py", "from ..cells.output_feedback import OutputFeedback", True),
        ("gru.py", "", True),
        ("a.py", "def fused_lstm_like(): ...", False),
        ("a.py", "elmans = jordanian = congruent = 1", False),
        ("__pycache__/a.pyc", "LSTM", False),
    ],
)
def test_the_checker_finds_cells_in_the_compiler(tmp_path, name, text, bad):
    plant(tmp_path, {f"compiler/{name}": f"\n{text}\n", "layers/a.py": "LSTM"})
    found = cells_named_in_the_compiler(tmp_path, class_names())
    assert bool(found) == bad
    assert all(fault.startswith(f"compiler/{name}") for fault in found)


def test_no_compiler_yet_is_no_fault(tmp_path):
    assert cells_named_in_the_compiler(tmp_path, class_names()) == []
