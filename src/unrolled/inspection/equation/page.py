"""A step's equations on a page, with what each symbol stands for."""

from collections.abc import Sequence

from ..text import INDENT, WIDTH, paragraph, table
from .printed import Equations, Meaning, wrapped


def equation_page(found: Equations) -> list[str]:
    """The equations and the legend, in lines of at most 80 columns."""
    lines = equation_lines(found)
    letters = size_letters(found)
    rows: list[Sequence[str]] = []
    for symbols, what, shape in _grouped(found):
        rows.append((", ".join(symbols), what, sizes(shape, letters)))
    said = [f"{letter} = {size}" for letter, size in letters.items()]
    lines += ["", "symbols" + (f", with {', '.join(said)}" if said else ""), *table(rows)]
    notes = [NOTES[name] for name in NOTES if f"{name}(" in found.text]
    return [*lines, *([""] if notes else []), *(row for note in notes for row in paragraph(note, INDENT, INDENT))]


def equation_lines(found: Equations) -> list[str]:
    """The equations alone, set in."""
    room = WIDTH - len(INDENT)
    return [INDENT + row for line in found.lines for row in wrapped(line.text, room).splitlines()]


NOTES = {
    "norm": "norm(a) = (a - mean(a)) / sqrt(mean((a - mean(a))^2) + 1e-05), over the last axis",
    "rms": "rms(a, eps) = a / sqrt(mean(a^2) + eps), over the last axis",
    "each": "each(A, b): the product of A[k] and b[k], for each k of the first axis",
    "outer": "outer(a, b): the matrix whose entry i, j is a[i] * b[j]",
}


def size_letters(found: Equations) -> dict[str, int]:
    """I, H and O, where they are different sizes."""
    ends = {"input": "I", "state": "H", "output": "O"}
    letters: dict[str, int] = {}
    for meaning in found.legend:
        letter = ends.get(meaning.what)
        if letter and letter not in letters and meaning.shape and meaning.shape[-1] > 1:
            if meaning.shape[-1] not in letters.values():
                letters[letter] = meaning.shape[-1]
            elif letter == "H":  # as many as the input has: nothing says which of the two a size is
                return {}
    return letters


def sizes(shape: Sequence[int], letters: dict[str, int]) -> str:
    """``(4 H, I)``; numbers where no letter is theirs."""
    return f"({', '.join(_size(size, letters) for size in shape)}{',' if len(shape) == 1 else ''})"


def _size(size: int, letters: dict[str, int]) -> str:
    for letter, value in letters.items():
        if size == value:
            return letter
    hidden = letters.get("H", 0)
    return f"{size // hidden} H" if hidden and size and size % hidden == 0 else str(size)


def _grouped(found: Equations) -> list[tuple[list[str], str, tuple[int, ...]]]:
    """The legend with the parts of one parameter together."""
    groups: dict[str, list[Meaning]] = {}
    for meaning in found.legend:
        groups.setdefault(meaning.path or meaning.symbol.name, []).append(meaning)
    rows = []
    for meanings in groups.values():
        names = [m.symbol.text(found.clock) for m in meanings]
        first = meanings[0]
        whole = found.tensors[first.path].shape if first.path else first.shape
        what = f"rows of {first.path}" if first.part is not None and first.part[0] == 0 else first.what
        rows.append((names, what, tuple(whole)))
    return rows
