"""Pairs of lines from files: two that are line-aligned, or a table with a column for each side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from ...core import DataError, InputError
from ..reading import check_characters, lines_of, read_rows, suffix_of

Format = Literal["auto", "lines", "tsv", "csv", "jsonl"]
_SUFFIXES: dict[str, Format] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


@dataclass(frozen=True)
class Pair:
    """A source and what it is in the target language, and where they stand."""

    source: str
    target: str
    where: str = ""


@dataclass(frozen=True)
class Columns:
    """The columns of a table, None for the usual ones; and whether a TSV has a header."""

    source: str | None = None
    target: str | None = None
    header: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """Of the source and of the target."""
        usual = ("source", "target") if self.header else ("1", "2")
        return self.source or usual[0], self.target or usual[1]


def find_format(path: Path) -> Format:
    """The format of a file by its name."""
    return _SUFFIXES.get(suffix_of(path), "lines")


def read_pairs(paths: Sequence[Path], form: Format = "auto", columns: Columns = Columns()) -> Iterator[Pair]:
    """The pairs of files, one by one.

    Args:
        paths: two line-aligned files, the source's first; or tables.
        form: auto: tables by their names, anything else are lines.
        columns: of tables.

    Raises:
        DataError: something in them is not as it should be; the file and the row are named.
        InputError: other than two files of lines, or an option that the format does not have.
    """
    if form == "auto":
        forms = {find_format(path) for path in paths}
        form = forms.pop() if len(forms) == 1 else "lines" if forms == {"lines"} else "auto"
        if form == "auto":
            raise InputError(
                f"expected two files of lines, or tables only, got {', '.join(map(str, paths))}; name the --format."
            )
    if form == "lines":
        if len(paths) != 2:
            raise InputError(
                f"expected two line-aligned files, the source's and the target's, or a table of pairs (.tsv, .csv, "
                f".jsonl), got {', '.join(map(str, paths))}."
            )
        return _aligned(*paths)
    return (pair for path in paths for pair in _table(path, form, columns))


def read_sources(path: Path, form: Format = "auto", columns: Columns = Columns()) -> Iterator[tuple[str, str]]:
    """The sources of a file, each with the place where it stands; a line may be empty.

    Raises:
        DataError: the file cannot be used; it is named, with the row.
    """
    if not path.exists() and " " in str(path):
        raise DataError(f"{path}: there is no such file; to translate a text, give it with --text.")
    form = find_format(path) if form == "auto" else form
    if form == "lines":
        return ((line.strip(), f"{path}:{row}") for row, line in enumerate(lines_of(path), 1))
    name = columns.names[0]
    rows = _rows(path, form, [name], columns.header)
    return ((_text(found[0], where, name, empty=True), where) for found, where in rows)


def _aligned(source: Path, target: Path) -> Iterator[Pair]:
    _same_length(source, target)
    for row, (one, other) in enumerate(zip(lines_of(source), lines_of(target), strict=True), 1):
        for path, line in ((source, one), (target, other)):
            if not line.strip():
                raise DataError(
                    f"{path}:{row}: expected a line of text on both sides, got an empty one; take line {row} out of "
                    "both files."
                )
        yield Pair(one.strip(), other.strip(), f"{source}:{row}")


def _same_length(source: Path, target: Path) -> None:
    """Line n of one file belongs to line n of the other."""
    counts = [0, 0]
    for one, other in zip_longest(lines_of(source), lines_of(target)):
        counts[0] += one is not None
        counts[1] += other is not None
    if counts[0] != counts[1]:
        raise DataError(
            f"{source}, {target}: expected as many lines in both, got {counts[0]:,} and {counts[1]:,}; line n of one "
            f"file belongs to line n of the other: find where they part (line {min(counts) + 1:,} at the latest)."
        )
    if not counts[0]:
        raise DataError(f"{source}, {target}: expected lines of text, got empty files.")


def _table(path: Path, form: Format, columns: Columns) -> Iterator[Pair]:
    names = columns.names
    empty = True
    for (source, target), where in _rows(path, form, list(names), columns.header):
        empty = False
        yield Pair(_text(source, where, names[0]), _text(target, where, names[1]), where)
    if empty:
        raise DataError(f"{path}: expected rows with a source and a target, got none.")


def _rows(path: Path, form: Format, names: list[str], header: bool) -> Iterator[tuple[list[object], str]]:
    """The values of these columns in each row, and where it stands."""
    if form != "tsv":
        if not header:
            raise InputError(f"--no-header: expected a TSV, got {path}, of which the columns have names.")
        for row in read_rows(path, names, ",", jsonl=form == "jsonl"):
            yield [row[name] for name in names], row.place
        return
    places: list[int] = []
    width = 0
    for number, line in enumerate(lines_of(path), 1):
        cells = line.rstrip("\r\n").split("\t")
        where = f"{path}:{number}"
        if not width:
            width = len(cells)
            known = [cell.strip() for cell in cells] if header else [str(n) for n in range(1, width + 1)]
            places = [_place(name, known, where, header) for name in names]
            if header:
                continue
        if cells == [""]:
            continue
        if len(cells) != width:
            raise DataError(
                f"{where}: expected {width} fields with tabs between them, as in the first row, got {len(cells)}; "
                "correct the row."
            )
        yield [cells[place] for place in places], where


def _place(name: str, known: list[str], where: str, header: bool) -> int:
    if name in known:
        return known.index(name)
    remedy = "name the right one with --source-column or --target-column"
    if header:
        remedy += ", or say --no-header if this row is a pair"
    raise DataError(f"{where}: expected a column {name!r}, got {', '.join(map(repr, known))}; {remedy}.")


def _text(value: object, where: str, column: str, empty: bool = False) -> str:
    """A text of one line.

    Raises:
        DataError: it is none, or is empty.
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: {column}: expected a text, got {type(value).__name__}.")
    check_characters(value, where)
    text = " ".join(value.split("\n")).strip()
    if not text and not empty:
        raise DataError(f"{where}: {column}: expected a text on both sides, got an empty one; take this row out.")
    return text


def lines_as_sources(lines: Iterable[str], name: str) -> Iterator[tuple[str, str]]:
    """Lines of standard input as :func:`read_sources` gives them."""
    return ((line.strip(), f"{name}:{row}") for row, line in enumerate(lines, 1))
