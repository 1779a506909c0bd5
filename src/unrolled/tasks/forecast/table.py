"""Tables, read row by row into one array of numbers; whatever is wrong is told with its file and row."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError
from ..reading import lines_of
from ..storage import store
from .layout import Layout, find_layout, number_of
from .options import DataOptions
from .times import TimeProblem, brief, parse_times

LINE, FILE, TIME, ID = " line", " file", " time", " id"  # no name of a column begins with a space
LARGEST = 1e100  # number, whose square is one too
_CHUNK = 20_000  # rows
_LONGEST = 400  # characters of a number
_SAMPLE = 200  # rows that columns are guessed from


@dataclass
class Table:
    """Rows of numbers: what a long or a wide table says."""

    name: str
    layout: Layout
    rows: NDArray[np.float64]  # (N, columns of `kinds`), in memory or mapped
    kinds: tuple[str, ...]  # LINE, FILE, TIME in seconds, ID as a code, then numbers and words by their names
    zone: str = ""
    ids: tuple[str, ...] = ()
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of static covariates, by code
    files: tuple[str, ...] = ()

    def column(self, kind: str) -> NDArray[np.float64]:
        """One column (N,)."""
        found: NDArray[np.float64] = self.rows[:, self.kinds.index(kind)]
        return found

    def place(self, row: int) -> str:
        """Where a row stands, for errors."""
        line, file = (int(self.rows[row, place]) for place in (0, 1))
        return f"{self.files[file]}:{line}" if self.files[file] else f"row {line}"


def raw_rows(path: Path, *, blank: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file that are not empty, each with the number of its line.

    Args:
        path: of the file.
        blank: whether an empty line between others is a row too, of one empty cell, as in a file of one column.

    Raises:
        DataError: the file cannot be read as a table.
    """
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    reader = csv.reader(lines_of(path), delimiter=delimiter, strict=True)
    seen, empty = False, list[int]()
    while True:
        begins = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{begins}: not a row of a table ({error}); mend its quotes.") from error
        if any(fields) or len(fields) > 1:
            yield from ((line, [""]) for line in empty)
            seen, empty = True, []
            yield begins, fields
        elif blank and seen:
            empty.append(begins)


def layout_of(path: Path, options: DataOptions) -> Layout:
    """What the columns of a file are.

    Raises:
        DataError: the file has no header, no rows, or its columns are not obvious.
    """
    first = [fields for _, fields in islice(raw_rows(path), _SAMPLE)]
    if not first:
        raise DataError(f"{path}: expected a table with a header, got an empty file.")
    layout = find_layout(str(path), first[0], first[1:], options)
    if len(first) == 1 and layout.header:
        raise DataError(f"{path}: expected rows of values under the header, got the header only.")
    return layout


def read_table(paths: Sequence[Path], layout: Layout) -> Table:
    """The rows of these files, one after the other, all of this layout.

    Raises:
        DataError: a row has another number of fields, or a cell is not what its column holds; it is named.
    """
    reader = _Reader(layout)
    parts = (part for number, path in enumerate(paths) for part in _chunks(reader, path, number))
    rows = store(parts).values
    return Table(
        str(paths[0]), layout, rows, reader.kinds, reader.zone or "", tuple(reader.ids),
        {name: tuple(found) for name, found in reader.words.items()}, tuple(map(str, paths)),
    )  # fmt: skip


def _chunks(reader: "_Reader", path: Path, number: int) -> Iterator[NDArray[np.float64]]:
    rows = raw_rows(path, blank=reader.layout.kind == "plain")
    width = len(reader.layout.columns)
    if reader.layout.header:
        for line, header in islice(rows, 1):
            if tuple(cell.strip() for cell in header) != reader.layout.columns:
                raise DataError(
                    f"{path}:{line}: expected the columns of the first file, {', '.join(reader.layout.columns)[:200]}, "
                    f"got {', '.join(header)[:200]}."
                )
    while True:
        lines, cells = [], []
        for line, fields in islice(rows, _CHUNK):
            if len(fields) != width:
                raise DataError(
                    f"{path}:{line}: expected {width} field{'s' * (width != 1)} as in the header, got {len(fields)}; "
                    "put a field that holds the delimiter in double quotes."
                )
            lines.append(line)
            cells.append(fields)
        if not lines:
            return
        yield reader.take(str(path), number, lines, list(zip(*cells, strict=True)))


class _Reader:
    """Turns columns of cells into numbers, with codes for the words."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.zone: str | None = None
        self.ids: dict[str, int] = {}
        self.words: dict[str, dict[str, int]] = {name: {} for name in layout.static}
        self.kinds = (LINE, FILE, *([TIME] if layout.time else []), *([ID] if layout.id else []))
        self.kinds += (*layout.numbers, *layout.static)

    def take(self, path: str, number: int, lines: list[int], columns: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        layout = self.layout
        by_name = dict(zip(layout.columns, columns, strict=True))
        made: list[Any] = [lines, np.full(len(lines), number)]
        if layout.time:
            try:
                times, self.zone = parse_times(by_name[layout.time], self.zone)
            except TimeProblem as error:
                raise DataError(f"{path}:{lines[error.index]}: column {layout.time!r}: {error}.") from None
            made.append(times.astype(np.int64))
        if layout.id:
            names, column = by_name[layout.id], f"column {layout.id!r}"
            made.append(series_codes(names, self.ids, lambda row: f"{path}:{lines[row]}: {column}"))
        made += [numbers(by_name[name], lines, path, name) for name in layout.numbers]
        made += [word_codes(by_name[name], self.words[name]) for name in layout.static]
        return np.stack([np.asarray(column, dtype=np.float64) for column in made], 1)


def word_codes(cells: Sequence[str], known: dict[str, int]) -> list[int]:
    """A column of words as numbers, in the order in which they first came; new ones are added to the known."""
    return [known.setdefault(cell.strip(), len(known)) for cell in cells]


def series_codes(cells: Sequence[str], known: dict[str, int], place: Callable[[int], str]) -> list[int]:
    """A column of names of series as :func:`word_codes`.

    Raises:
        DataError: one is empty; its place, which ``place`` makes of its number among the cells, is named.
    """
    for row, cell in enumerate(cells):
        if not cell.strip():
            raise DataError(
                f"{place(row)}: expected the name of a series, got an empty cell; name it, or leave the row out."
            )
    return word_codes(cells, known)


def numbers(cells: Sequence[str], lines: Sequence[int], path: str, name: str) -> NDArray[np.float64]:
    """A column of numbers, NaN where a cell is missing.

    Raises:
        DataError: a cell is something else; it is named.
    """
    try:
        if max(map(len, cells), default=0) > _LONGEST:  # an array would take as much for each
            raise ValueError
        found = np.array(cells).astype(np.float64)
    except ValueError:
        found = np.array(
            [_number(cell, f"{path}:{line}: column {name!r}") for cell, line in zip(cells, lines, strict=True)]
        )
    infinite = np.flatnonzero(np.abs(found) > LARGEST)
    if len(infinite):
        place = int(infinite[0])
        raise DataError(
            f"{path}:{lines[place]}: column {name!r}: expected a finite number of at most {LARGEST:g}, got "
            f"{brief(cells[place])}; leave the cell empty and use --fill, or mend it."
        )
    return found


def _number(cell: str, place: str) -> float:
    try:
        return number_of(cell)
    except ValueError:
        raise DataError(
            f"{place}: expected a number, got {brief(cell)}; mend the cell, or name other columns with --target."
        ) from None
