"""Sentences from files: CoNLL columns, JSONL, parallel files in a folder, and lines of plain text."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from ...core import DataError
from ..reading import check_characters, lines_of
from .spans import split_tag

LONGEST = 1000  # characters of a token: a longer one is no word, but a file that is not what it seems

Format = Literal["auto", "conll", "jsonl", "parallel", "text"]
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".conll": "conll",
    ".conllu": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".tsv": "conll",
}
_DOCUMENT = "-DOCSTART-"
_LABEL = re.compile(r"#\s*(?:intent|label)\s*[:=]\s*(.*\S)\s*")
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")  # CoNLL-U's number of what is written as one word, or is not written
_MARKS = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)


@dataclass(frozen=True)
class Sentence:
    """Tokens, with a tag each and a label of the whole where the data have them, and where they stand."""

    tokens: list[str]
    tags: list[str] | None = None
    label: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Columns:
    """Of CoNLL rows: which column is the token and which the tag, counted from 1, or from -1 at the end."""

    token: int = 1
    tag: int = -1


def find_format(path: Path, otherwise: Format = "conll") -> Format:
    """The format of a file or folder by its name."""
    if path.is_dir():
        return "parallel"
    return _SUFFIXES.get(path.suffix.lower(), otherwise)


def read_sentences(
    path: str | Path,
    form: Format = "auto",
    columns: Columns = Columns(),
    *,
    tagged: bool = True,
    split: Callable[[str], list[str]] = str.split,
) -> Iterator[Sentence]:
    """The sentences of a file or folder, one by one.

    Args:
        path: a file of CoNLL columns, JSONL or text, or a folder with ``seq.in``, ``seq.out`` and maybe ``label``.
        form: the format; auto: by the name (see the page on tagging).
        columns: of CoNLL rows.
        tagged: whether every sentence must have tags (then none may be empty), or they are not wanted.
        split: from a line of text to its tokens.

    Raises:
        DataError: something in it is not as it should be; the file and the row are named.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if form == "auto":
        form = find_format(path, "conll" if tagged else "text")
    if form == "parallel":
        return _parallel(path, tagged)
    if path.is_dir():
        raise DataError(f"{path}: expected a file of format {form}, got a folder.")
    return read_lines(lines_of(path), str(path), form, columns, tagged=tagged, split=split)


def read_lines(
    lines: Iterable[str],
    name: str,
    form: Format,
    columns: Columns = Columns(),
    *,
    tagged: bool = True,
    split: Callable[[str], list[str]] = str.split,
) -> Iterator[Sentence]:
    """As :func:`read_sentences`, of the lines of one file, or of standard input."""
    if form == "jsonl":
        return _jsonl(lines, name, tagged, split)
    if form == "text":
        if tagged:
            raise DataError(f"{name}: expected sentences with tags, got plain text, which has none.")
        return (Sentence(_checked(split(line), f"{name}:{row}"), where=f"{name}:{row}") for row, line in _rows(lines))
    return _conll(lines, name, columns, tagged)


def split_text(text: str, known: Callable[[str], bool] = lambda word: False) -> list[str]:
    """The tokens of a line: at white space, with the marks before and after a word as tokens of their own.

    A piece that is known as it stands, such as ``st.``, stays whole; so do marks inside a word, and a name after @
    or #.

    Example:
        >>> split_text('fly to "New York", @ana, by 10:30!')
        ['fly', 'to', '"', 'New', 'York', '"', ',', '@ana', ',', 'by', '10:30', '!']
    """
    tokens: list[str] = []
    for piece in text.split():
        match = _MARKS.fullmatch(piece)
        if known(piece) or match is None or not match[2]:
            tokens.append(piece)
            continue
        before, word, after = match.groups()
        if before[-1:] in ("@", "#"):
            before, word = before[:-1], before[-1] + word
        tokens += [*before, word, *after]
    return tokens


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return enumerate((line.rstrip("\r\n") for line in lines), 1)


@dataclass
class _Open:
    """A sentence of which the end has not come."""

    row: int = 0
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    label: str | None = None


def _conll(lines: Iterable[str], name: str, columns: Columns, tagged: bool) -> Iterator[Sentence]:
    width, tabs, first = 0, False, 0  # of the file's first row of a token
    now = _Open()
    for row, line in _rows(lines):
        where = f"{name}:{row}"
        if not line.strip():
            if now.tokens:
                yield _closed(now, name, tagged)
                now = _Open()
            continue
        if not now.tokens and _is_comment(line):
            match = _LABEL.fullmatch(line)
            now.label = match[1] if match else now.label
            continue
        if not width:
            tabs = "\t" in line
        cells = line.split("\t") if tabs else line.split()
        if cells[0].strip() == _DOCUMENT:
            continue
        if not width:
            width, first = len(cells), row
            _check_width(width, columns, where, tagged)
        if len(cells) != width:
            raise DataError(
                f"{where}: expected {width} columns{' with tabs between them' if tabs else ''}, as in row {first}, "
                f"got {len(cells)}; correct the row, or end the sentence before it with an empty line."
            )
        if width == 10 and _NOT_A_WORD.fullmatch(cells[0]):
            continue
        now.row = now.row or row
        now.tokens.append(_token(_cell(cells, columns.token), where))
        if tagged:
            now.tags.append(_tag(_cell(cells, columns.tag).strip(), where))
    if now.tokens:
        yield _closed(now, name, tagged)


def _closed(now: _Open, name: str, tagged: bool) -> Sentence:
    return Sentence(now.tokens, now.tags if tagged else None, now.label, f"{name}:{now.row}")


def _is_comment(line: str) -> bool:
    if line == "#" or not line.startswith("#") or "\t" in line:
        return False
    last = line.split()[-1]
    tag = last == "O" or split_tag(last)[1] != ""
    return bool(_LABEL.fullmatch(line)) or (line.startswith("# ") and not tag)


def _cell(cells: list[str], column: int) -> str:
    return cells[column - 1 if column > 0 else column]


def _check_width(width: int, columns: Columns, where: str, tagged: bool) -> None:
    wanted = [("--token-column", columns.token)] + ([("--tag-column", columns.tag)] if tagged else [])
    for option, column in wanted:
        if column == 0 or not -width <= column <= width:
            raise DataError(f"{where}: {option}: expected a column from 1 to {width}, or -1 to -{width}, got {column}.")
    token, tag = (column - 1 if column > 0 else width + column for column in (columns.token, columns.tag))
    if tagged and token == tag:
        raise DataError(
            f"{where}: expected columns of tokens and tags, as in: Paris B-city, got {width} column"
            f"{'s' if width > 1 else ''}; separate them by a tab or spaces, or choose --token-column and --tag-column."
        )


def _token(text: str, where: str) -> str:
    token = text.strip()
    if not token:
        raise DataError(f"{where}: expected a token, got an empty one; leave the row out, or give it a token.")
    if len(token) > LONGEST:
        raise DataError(
            f"{where}: expected tokens of at most {LONGEST} characters, got one of {len(token)}: "
            f"{token[:20]!r}...; is this text split into words?"
        )
    if "\0" in token:
        raise DataError(f"{where}: expected text, got a NUL byte in a token; leave it out.")
    check_characters(token, where)
    return sys.intern(token)


def _checked(tokens: Iterable[str], where: str) -> list[str]:
    return [_token(token, where) for token in tokens]


def _tag(text: str, where: str) -> str:
    if not text or text[1:] == "-":
        raise DataError(f"{where}: expected a tag such as O or B-city, got {text!r}; correct it.")
    check_characters(text, where)
    return sys.intern(text)


def _jsonl(lines: Iterable[str], name: str, tagged: bool, split: Callable[[str], list[str]]) -> Iterator[Sentence]:
    for row, line in _rows(lines):
        where = f"{name}:{row}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: expected one JSON object a line, got what is none ({error}).") from error
        if not isinstance(record, dict):
            raise DataError(f'{where}: expected a JSON object with "tokens", got {type(record).__name__}.')
        if "tokens" not in record and not tagged and isinstance(record.get("text"), str):
            tokens = split(record["text"])
        else:
            tokens = _strings(record, "tokens", where)
        tags = _strings(record, "tags", where) if tagged else None
        label = record.get("intent", record.get("label"))
        if label is not None and not isinstance(label, str):
            raise DataError(f'{where}: "intent": expected a text, got {type(label).__name__}.')
        if label is not None:
            check_characters(label, where)
            if not label.strip() and tagged:
                raise DataError(f'{where}: "intent": expected a label, got an empty one; fill it in, or leave it out.')
        yield made(tokens, tags, label, where)


def _strings(record: dict[str, Any], key: str, where: str) -> list[str]:
    found = record.get(key)
    if isinstance(found, list) and all(isinstance(part, str) for part in found):
        return found
    got = "nothing" if key not in record else type(found).__name__
    if isinstance(found, list):
        got = f"{next(type(part).__name__ for part in found if not isinstance(part, str))} in it"
    raise DataError(f'{where}: "{key}": expected a list of texts, got {got}.')


def made(tokens: list[str], tags: list[str] | None, label: str | None, where: str) -> Sentence:
    """A sentence, if all of it is as it should be.

    Raises:
        DataError: a token or a tag is missing or empty; the place is named.
    """
    if tags is not None:
        if len(tags) != len(tokens):
            raise DataError(f"{where}: expected a tag for each of {len(tokens)} tokens, got {len(tags)} tags.")
        if not tokens:
            raise DataError(f"{where}: expected at least one token, got an empty sentence; leave it out.")
        tags = [_tag(tag, where) for tag in tags]
    return Sentence(_checked(tokens, where), tags, label, where)


def _parallel(folder: Path, tagged: bool) -> Iterator[Sentence]:
    words, tags, labels = (folder / name for name in ("seq.in", "seq.out", "label"))
    for file in (words, tags) if tagged else (words,):
        if not file.is_file():
            raise DataError(
                f"{folder}: expected a folder with the files seq.in (tokens), seq.out (tags) and, if there is one, "
                f"label, a sentence a line in each; got no {file.name}."
            )
    files = [words, *([tags] if tagged else []), *([labels] if tagged and labels.is_file() else [])]
    for row, lines in enumerate(zip_longest(*map(lines_of, files)), 1):
        if None in lines:
            short = files[lines.index(None)]
            longer = files[next(place for place, line in enumerate(lines) if line is not None)]
            raise DataError(
                f"{short}: expected as many lines as {longer} has, got {row - 1}; "
                "line n of each file is of the same sentence."
            )
        where = f"{words}:{row}"
        label = lines[2].strip() if len(files) > 2 else None
        if label == "":
            raise DataError(f"{labels}:{row}: expected a label, got an empty line.")
        yield made(lines[0].split(), lines[1].split() if tagged else None, label, where)
