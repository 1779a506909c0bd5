"""Reading what people have: lines, rows and files, one at a time, each error with its file and row."""

import codecs
import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..core import DataError

_LARGEST_FIELD = 2**31 - 1  # characters; Python's own limit of 131072 refuses long documents
_COMPRESSED = ".gz"
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


@dataclass(frozen=True)
class Row:
    """A row of a table or an object of a JSONL file."""

    place: str  # file:line, for errors
    values: dict[str, Any]  # text in a table, whatever JSON has in JSONL

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        return self.values[column]


def suffix_of(path: Path) -> str:
    """What a name ends in, in small letters, without the ``.gz`` of a compressed file.

    Example:
        >>> suffix_of(Path("pairs.TSV.gz")), suffix_of(Path("train.de"))
        ('.tsv', '.de')
    """
    inner = path.with_suffix("") if path.suffix.lower() == _COMPRESSED else path
    return inner.suffix.lower()


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a file of UTF-8 text, with their ends, read one by one; one that ends in .gz is unpacked.

    Raises:
        DataError: the file is missing, unreadable, binary or not UTF-8; the line is named.
    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(open_binary(path))
            if path.suffix.lower() == _COMPRESSED:
                file = stack.enter_context(gzip.open(file))
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if b"\0" in line:
                    raise DataError(
                        f"{path}:{number}: expected text, got a binary file (it holds NUL bytes); "
                        "convert it to UTF-8 text, or leave it out."
                    )
                try:
                    yield line.decode()
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}:{number}: expected UTF-8 text, got the byte 0x{line[error.start]:02x} at column "
                        f"{error.start + 1}; convert it, for example: iconv -f LATIN1 -t UTF-8."
                    ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole file of gzip ({error}); copy it anew.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot read this file ({error.strerror}).") from error


def open_binary(path: Path) -> Any:
    """Open a file for reading bytes.

    Raises:
        DataError: it is missing, or no file.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if not path.is_file():
        raise DataError(f"{path}: expected a file, got {'a folder' if path.is_dir() else 'a device or a pipe'}.")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot read this file ({error.strerror}).") from error


def read_rows(
    path: Path, required: Iterable[str] = (), delimiter: str | None = None, *, jsonl: bool | None = None
) -> Iterator[Row]:
    """The rows of a table with a header (CSV, TSV), or the objects of a JSONL file (``.jsonl``, ``.ndjson``).

    Args:
        path: the file; its suffix tells the format, anything unknown is read as CSV.
        required: columns that must be there.
        delimiter: of a table; by default a tab for .tsv and .tab, else a comma.
        jsonl: whether it is JSONL, whatever its suffix.

    Raises:
        DataError: there is no such file, header or column, or a row has another number of fields.
    """
    required = list(required)
    if suffix_of(path) in (".jsonl", ".ndjson") if jsonl is None else jsonl:
        return _read_jsonl(path, required)
    return _read_table(path, required, delimiter or _DELIMITERS.get(suffix_of(path), ","))


def columns_of(path: Path, delimiter: str | None = None) -> list[str]:
    """The names of the columns: of a table its header, of JSONL the keys of the first object."""
    for row in read_rows(path, delimiter=delimiter):
        return list(row.values)
    return []


def _read_table(path: Path, required: list[str], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(lines_of(path), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        begins = reader.line_num + 1  # a field in quotes may go over several lines
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise DataError(f"{path}:{begins}: not a row of a table ({error}); mend its quotes.") from error
        if not fields:  # an empty line
            continue
        if header is None:
            header = _check_header(path, begins, [name.strip() for name in fields], required)
            continue
        if len(fields) != len(header):
            raise DataError(
                f"{path}:{begins}: expected {_fields(len(header))} as in the header ({', '.join(header)}), "
                f"got {len(fields)}; put a field that holds the delimiter {delimiter!r} in double quotes."
            )
        yield Row(f"{path}:{begins}", dict(zip(header, fields, strict=True)))
    if header is None:
        raise DataError(f"{path}: expected a table with a header, got an empty file.")


def _check_header(path: Path, line: int, header: list[str], required: list[str]) -> list[str]:
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"{path}:{line}: expected a header of different names, got {', '.join(sorted(twice))} twice.")
    _check_required(f"{path}:{line}", header, required)
    return header


def _check_required(place: str, names: Sequence[str], required: list[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"{place}: expected a column {missing[0]!r}, got {', '.join(map(repr, names)) or 'none'}; "
            "name the right one with the option for it, see --help."
        )


def _read_jsonl(path: Path, required: list[str]) -> Iterator[Row]:
    found = False
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        found = True
        place = f"{path}:{number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: expected one object in JSON, got what is none ({error}).") from error
        if not isinstance(values, dict):
            raise DataError(f"{place}: expected one object in JSON, got {type(values).__name__}.")
        _check_required(place, list(values), required)
        if "\\u" in line:  # the only way for a half of a character into a file of UTF-8
            check_characters(json.dumps(values, ensure_ascii=False), place)
        yield Row(place, values)
    if not found:
        raise DataError(f"{path}: expected objects in JSON, one a line, got an empty file.")


def check_characters(text: str, place: str) -> None:
    """That a text can be written as UTF-8: JSON, and Python, may hold a half of a character.

    Raises:
        DataError: it holds one; the place is named.
    """
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: expected whole characters, got the half of one ({text[error.start]!a}), which no file of "
            "UTF-8 can hold; leave it out."
        ) from error


def _fields(count: int) -> str:
    return f"{count} field" + "s" * (count != 1)


def files_in(folder: Path, suffixes: Iterable[str] = ()) -> list[Path]:
    """The files of a folder and of the folders in it, sorted, hidden ones left out; with one of these suffixes.

    Raises:
        DataError: the folder cannot be read, or a link in it leads out of it.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot read this folder ({error.strerror}).") from error

    wanted = {suffix.lower() for suffix in suffixes}
    found: list[Path] = []
    for base, names, files in os.walk(folder, onerror=refuse):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in [*names, *files]:
            inside(folder, (Path(base) / name).relative_to(folder))
        found += [Path(base) / file for file in files if not file.startswith(".")]
    return sorted(file for file in found if file.is_file() and (not wanted or file.suffix.lower() in wanted))


def inside(folder: Path, name: str | Path, place: str | None = None) -> Path:
    """The path of a file of this folder.

    Args:
        folder: the folder.
        name: as it stands in a table, or was found.
        place: where it stands, for the error.

    Raises:
        DataError: it leaves the folder, by itself or over a link.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            f"{place or path}: expected a path inside {folder}, got {str(name)!r}, which leads to {path.resolve()}; "
            "copy the file into the folder."
        )
    return path


def hash_of(paths: Iterable[Path]) -> str:
    """SHA-256 over the bytes of these files, and of folders' names and files, in their order."""
    digest = sha256()
    for path in paths:
        for file in files_in(path) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(str(file.relative_to(path)).encode(errors="surrogateescape") + b"\0")
            with open_binary(file) as opened:
                while part := opened.read(2**20):
                    digest.update(part)
    return digest.hexdigest()
