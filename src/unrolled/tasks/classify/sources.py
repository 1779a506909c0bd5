"""Examples from the files that people have: which form a file has, and the examples in it, one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import DataError
from ..audio import is_audio
from ..reading import columns_of, files_in, inside, lines_of, read_rows
from .long_files import read_long
from .options import DataOptions
from .series_files import Floats, read_npz, read_ts
from .template import Template

TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Raw:
    """One example as it was found."""

    content: str | Floats | Path  # a text, numbers (T, F), or the path of a recording
    label: str | None
    place: str
    file: Path | None = None  # that holds this example alone
    columns: tuple[str, ...] = ()  # of a table of steps, the names of the features

    @property
    def kind(self) -> str:
        """What the content is."""
        if isinstance(self.content, str):
            return "text"
        return "audio" if isinstance(self.content, Path) else "series"


def find(path: Path, data: DataOptions, *, part: str = "train", labelled: bool = True) -> Iterator[Raw]:
    """The examples of a file or folder.

    Args:
        path: a file or folder.
        data: the options that say what it looks like.
        part: ``"train"`` or ``"test"``, of a file that has both.
        labelled: every example must have a label; otherwise it may.

    Raises:
        DataError: the path is missing or of no known form, or an example is not as it should be; it is named.
    """
    form = data.format if data.format != "auto" else form_of(path, data)
    if form is None:
        raise DataError(
            f"{path}: its name does not tell what is in it; name the form with --format, or rename it "
            f"({', '.join(TABLES)}, .npz, .ts, or a folder)."
        )
    readers: dict[str, Callable[[], Iterator[Raw]]] = {
        "table": lambda: _table(path, data, labelled),
        "labelled-lines": lambda: _labelled_lines(path),
        "folder": lambda: _folder(path, data, labelled),
        "manifest": lambda: _manifest(path, data, labelled),
        "long": lambda: (Raw(s.values, s.label, s.place, columns=s.columns) for s in read_long(path, data, labelled)),
        "npz": lambda: (Raw(s.values, s.label, s.place) for s in read_npz(path, part)),
        "ts": lambda: (Raw(s.values, s.label, s.place) for s in read_ts(path)),
        "file": lambda: _alone(path, labelled),
        "lines": lambda: _lines(path, labelled),
    }
    return readers[form]()


def form_of(path: Path, data: DataOptions) -> str | None:
    """The form that a file's name tells, of a table its columns; None where its name says nothing.

    Raises:
        DataError: there is no such file or folder, or a table has none of the columns.
    """
    if path.is_dir():
        return "folder"
    suffix = path.suffix.lower()
    if suffix in (".npz", ".ts"):
        return suffix[1:]
    if suffix in TABLES:
        columns = columns_of(path)
        if not columns:
            raise DataError(f"{path}: expected rows under the header, got none.")
        for form, column in (("table", data.text), ("manifest", "path"), ("long", data.sequence)):
            if column in columns:
                return form
        raise DataError(
            f"{path}: expected a column {data.text!r} (of texts), 'path' (of files) or {data.sequence!r} (of "
            f"sequences), got {', '.join(map(repr, columns))}; name the column with --text or --sequence."
        )
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: expected a file or a folder, got something else (a device or a pipe).")
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if is_audio(path):
        return "file"
    return "lines" if suffix == ".txt" else None


def _table(path: Path, data: DataOptions, labelled: bool) -> Iterator[Raw]:
    for row in read_rows(path, [data.text, data.label] if labelled else [data.text]):
        text = row[data.text]
        if not isinstance(text, str):
            raise DataError(f"{row.place}: {data.text}: expected a text, got {type(text).__name__}.")
        yield Raw(text, _label(row.values.get(data.label), row.place, data.label, labelled), row.place)


def _label(value: Any, place: str, column: str, labelled: bool) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        if labelled:
            raise DataError(f"{place}: {column}: expected a label, got none; fill it in, or leave the row out.")
        return None
    if not isinstance(value, str | int):
        raise DataError(f"{place}: {column}: expected a name or a whole number, got {type(value).__name__}.")
    return str(value).strip()


def _labelled_lines(path: Path) -> Iterator[Raw]:
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        label, _, text = line.strip().partition(" ")
        if not text:
            raise DataError(f"{path}:{number}: expected a label, a space and a text, got {line.strip()[:40]!r}.")
        yield Raw(text, label, f"{path}:{number}")


def _alone(path: Path, labelled: bool) -> Iterator[Raw]:
    if labelled:
        raise DataError(f"{path}: expected recordings with labels, got a single one; give the folder, or a table.")
    yield _of_file(path, None)


def _lines(path: Path, labelled: bool) -> Iterator[Raw]:
    """A text on every line, without labels."""
    if labelled:
        raise DataError(
            f"{path}: expected labels, got a file of plain text; name the form with --format, such as labelled-lines "
            "(a label, a space and a text on each line), or give a table or a folder."
        )
    for number, line in enumerate(lines_of(path), 1):
        yield Raw(line.rstrip("\r\n"), None, f"{path}:{number}")


def _folder(path: Path, data: DataOptions, labelled: bool) -> Iterator[Raw]:
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder, with one sub-folder for each class, got no folder.")
    files = files_in(path)
    if not files:
        raise DataError(f"{path}: expected a folder of texts or recordings, got one without files.")
    _check_alike(files)
    template = None if data.label_pattern is None else Template(data.label_pattern)
    for file in files:
        label = template.label(file.stem) if template else _sub_folder(path, file)
        if label is None and labelled:
            wanted = (
                f"a name that fits --label-pattern {data.label_pattern}; rename the file, or move it away"
                if template
                else "it in a sub-folder named as its class; move it there, or say with --label-pattern where its name "
                "has the label"
            )
            raise DataError(f"{file}: expected {wanted}.")
        yield _of_file(file, label)


def _sub_folder(path: Path, file: Path) -> str | None:
    parts = file.relative_to(path).parts
    return parts[0] if len(parts) > 1 else None


def _check_alike(files: list[Path]) -> None:
    recordings = [file for file in files if is_audio(file)]
    others = [file for file in files if not is_audio(file)]
    if recordings and others:
        raise DataError(
            f"{others[0]}: expected recordings only, as {recordings[0].name} is one, got a file of another kind; "
            "keep texts and recordings in folders of their own."
        )


def _manifest(path: Path, data: DataOptions, labelled: bool) -> Iterator[Raw]:
    first: Path | None = None
    for row in read_rows(path, ["path", data.label] if labelled else ["path"]):
        if not isinstance(row["path"], str) or not row["path"]:
            raise DataError(f"{row.place}: path: expected the path of a file, got {row['path']!r}.")
        file = inside(path.parent, row["path"], row.place)
        if not file.is_file():
            raise DataError(f"{row.place}: {file}: there is no such file; paths are those from the table's own folder.")
        first = first or file
        _check_alike([first, file])
        yield _of_file(file, _label(row.values.get(data.label), row.place, data.label, labelled))


def _of_file(file: Path, label: str | None) -> Raw:
    return Raw(file if is_audio(file) else "".join(lines_of(file)), label, str(file), file)
