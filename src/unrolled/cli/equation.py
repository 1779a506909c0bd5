"""Show a cell's equation: what its step computes, its symbols and its graph over time; or work an example out."""

import ast
import inspect
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..core import InputError, UnrolledError, UnsupportedStep
from ..inspection import equations
from ..inspection.drawing import mermaid, network, svg, terminal
from ..inspection.equation import Equations
from ..inspection.equation.page import equation_page
from ..inspection.numbers import INPUTS, numbers
from ..inspection.text import paragraph
from ..tasks.cells import is_own, own_object
from ..training.checkpoint import write_atomically
from .explain import BY_REFERENCE, DTYPES, Sizes, checked, class_of, made_for

INPUT_SIZE, HIDDEN_SIZE = 3, 8  # where none are asked for: unequal, so that a size says what it is
SIZES = ("input_size", "hidden_size", "output_size")
WRITTEN = (".svg", ".mmd", ".tex")


@dataclass(frozen=True)
class Form:
    """How an equation is shown."""

    notation: str | None = None
    latex: bool = False
    output: Path | None = None
    as_json: bool = False


def show_equation(choice: str, sizes: Sizes, dtype: str, form: Form) -> int:
    """Print the equation of a cell.

    Args:
        choice: a cell of the library, or a file and a class or a step function of one's own.
        sizes: those of the constructor.
        dtype: of the parameters, the input and the state.
        form: what is printed or written.
    """
    if form.output is not None and form.output.suffix not in WRITTEN:
        raise InputError(f"--output: expected a name that ends in {', '.join(WRITTEN)}, got {form.output.name!r}.")
    sizes = Sizes(sizes.input_size or INPUT_SIZE, sizes.hidden_size or HIDDEN_SIZE)
    found = _found(choice, sizes, dtype, form.notation)
    if form.output is not None:
        write_atomically(form.output, _written(found, form.output.suffix))
        print(f"Written to {form.output}.")
    elif form.as_json:
        print(json.dumps(found.to_dict()))
    else:
        print(_encodable(found.latex if form.latex else _page(choice, found)))
    return 0


def show_numbers(choice: str, form: Form, inputs: str | None, settings: Sequence[str]) -> int:
    """Print an example worked out, forward and back through time.

    Args:
        choice: as for the equation; every size is 1.
        form: the notation, and whether JSON is wanted.
        inputs: numbers with commas between.
        settings: values of parameters, ``W_hh=0.3``.
    """
    xs = INPUTS if inputs is None else tuple(_number(word, "--inputs") for word in inputs.split(","))
    values = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign:
            raise InputError(f"--set: expected a symbol and a number, such as W_hh=0.3, got {setting!r}.")
        values[name.strip()] = _number(value, "--set")
    kind = None if is_own(choice) else class_of(choice)
    if kind is not None and "output_size" in inspect.signature(kind).parameters:
        cell: Any = kind(**{name: 1 for name in SIZES if name in inspect.signature(kind).parameters})
    else:
        cell, _ = made_for(choice, Sizes(1, 1))
    found = numbers(cell, xs, values, notation=form.notation)
    print(json.dumps(found.to_dict()) if form.as_json else _encodable(str(found)))
    return 0


def _number(word: str, option: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise InputError(f"{option}: expected a number, got {word.strip()!r}.") from None


def _found(choice: str, sizes: Sizes, dtype: str, notation: str | None) -> Equations:
    step = _own_step(choice, sizes) if is_own(choice) and dtype in DTYPES else None
    if step is None:
        cell, x = checked(choice, sizes, dtype)
        try:
            return equations(cell, x, None if x is not None else cell.initial_state(1), notation=notation)
        except UnsupportedStep as error:
            raise UnsupportedStep(f"{error} {BY_REFERENCE}") from error
    kind = getattr(torch, dtype)
    x = torch.zeros(1, 1, sizes.input_size or INPUT_SIZE, dtype=kind)
    state = torch.zeros(1, sizes.hidden_size or HIDDEN_SIZE, dtype=kind)
    try:
        return equations(step, x, state, notation=notation)
    except Exception as error:
        raise InputError(
            f"CELL: {choice}: as a step (x, state) -> (output, state), with x (B, {x.shape[-1]}) and a state "
            f"(B, {state.shape[-1]}), it failed: {type(error).__name__}: {str(error).splitlines()[0].rstrip('.')}. "
            "Give other sizes by --input-size and --hidden-size; where the state is more than one tensor, call "
            "unrolled.equations(step, x, state) in Python."
        ) from error


def _own_step(choice: str, sizes: Sizes) -> Any:
    """The function of one's own if it is a step; None where it makes a cell, as a class does."""
    path, _, name = choice.rpartition(":")
    try:
        body = ast.parse(Path(path).read_text(encoding="utf-8")).body  # read before it is run, which is done once
    except (OSError, ValueError, SyntaxError):
        return None  # said where the cell is made
    if not any(isinstance(part, ast.FunctionDef) and part.name == name for part in body):
        return None
    try:
        thing = own_object(choice)
    except UnrolledError:
        return None
    if not inspect.isfunction(thing) or len(inspect.signature(thing).parameters) != 2:
        return None
    try:
        made = thing(sizes.input_size, sizes.hidden_size)
    except Exception:  # noqa: BLE001  whatever a step makes of two numbers
        return thing
    is_pair = isinstance(made, tuple) and len(made) == 2  # what a step gives of two numbers, too
    return thing if is_pair else None


def _page(choice: str, found: Equations) -> str:
    drawn = [f"  {line}".rstrip() for line in terminal(network(found)).splitlines()]
    if max(map(len, drawn)) > 80:
        drawn = [line[2:] for line in drawn]
    lines = [found.name, "", *equation_page(found), "", "the same over time", *drawn, ""]
    is_step = not found.name.endswith(")")  # a cell's has its sizes
    how = "unrolled.explain(step, x, state) in Python" if is_step else f"unrolled explain {choice} --stage plan"
    hint = f"Read off the trace of the step. How it is run and what that costs: {how}"
    return "\n".join([*lines, *paragraph(hint)])


def _written(found: Equations, kind: str) -> str:
    if kind == ".svg":
        return svg(network(found), found.name)
    if kind == ".mmd":
        return mermaid(network(found))
    head = "\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n\\[\n"
    return f"{head}{found.latex}\n\\]\n\\end{{document}}\n"


def _encodable(text: str) -> str:
    """Greek letters as words on a terminal that has none."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("σ", "sigmoid").replace("ŷ", "y_hat")
    return text
