"""The text to learn from: files, folders, or the Python standard library's own source."""

import codecs
import os
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core import DataError
from ...training.run_folder import sha256_of

# Well-written modules that every supported Python has; together under 3 MB.
_MODULES = """
    abc argparse ast base64 bisect bz2 calendar cmd code codecs collections/__init__ colorsys configparser
    contextlib copy csv dataclasses datetime difflib dis enum filecmp fileinput fnmatch fractions functools
    getopt getpass gettext glob graphlib gzip hashlib heapq hmac inspect io json/decoder json/encoder
    json/scanner keyword linecache locale logging/__init__ mimetypes numbers operator optparse os pathlib
    pdb pickle pkgutil platform pprint profile queue quopri random reprlib sched secrets selectors shelve
    shlex shutil signal socket socketserver statistics string stringprep subprocess symtable tabnanny
    tarfile tempfile textwrap threading timeit tokenize trace traceback types typing uuid warnings wave
    weakref zipfile
"""
STANDARD_LIBRARY = tuple(_MODULES.split())
_LIMIT = 3_000_000


@dataclass(frozen=True)
class Corpus:
    """A text, where it came from, and its hash."""

    text: str
    files: tuple[str, ...]
    skipped: tuple[str, ...]  # files of a folder that are not text

    @property
    def sha256(self) -> str:
        """Hash of the text in UTF-8."""
        return sha256_of(self.text)


def read_corpus(paths: Sequence[str | Path]) -> Corpus:
    """The text of these files and folders, in their order; with no path, of the standard library.

    A folder gives every text file in it and below, sorted by path, hidden ones left out; a file in it that
    is binary is skipped, one that is named is an error.

    Raises:
        DataError: a path is missing or unreadable, a file is binary or not UTF-8, or there is no text.
    """
    if not paths:
        return _standard_library()
    texts: list[str] = []
    files: list[str] = []
    skipped: list[str] = []
    for path in map(Path, paths):
        for file in _files_of(path):
            text = _read(file)
            if text is None and path.is_dir():
                skipped.append(str(file))
                continue
            if text is None:
                raise DataError(
                    f"{file}: expected text, got a binary file (it holds NUL bytes); "
                    "convert it to UTF-8 text, or leave it out."
                )
            texts.append(text)
            files.append(str(file))
    text = _join(texts)
    if not text.strip():
        why = f"all {len(skipped)} files in it are binary" if skipped and not files else "it is empty"
        raise DataError(f"{', '.join(map(str, paths))}: expected text, got none: {why}. Give files of UTF-8 text.")
    return Corpus(text, tuple(files), tuple(skipped))


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if not path.is_dir():
        raise DataError(f"{path}: expected a file or a folder, got something else (a device or a pipe).")
    found = []
    for folder, names, files in os.walk(path, onerror=_cannot_read):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [Path(folder) / file for file in files if not file.startswith(".")]
    return sorted(file for file in found if file.is_file())


def _cannot_read(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot read this folder ({error.strerror}).") from error


def _read(file: Path) -> str | None:
    """The text of a file; None where it is binary."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot read this file ({error.strerror}).") from error
    if b"\0" in data:
        return None
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    try:
        return data[len(mark) :].decode()
    except UnicodeDecodeError as error:
        place = error.start + len(mark)
        line = data.count(b"\n", 0, place) + 1
        raise DataError(
            f"{file}: expected UTF-8 text, got the byte 0x{data[place]:02x} at byte {place} "
            f"(line {line}); convert it, for example: iconv -f LATIN1 -t UTF-8."
        ) from error


def _standard_library() -> Corpus:
    root = Path(sysconfig.get_path("stdlib"))
    files = [root / f"{name}.py" for name in STANDARD_LIBRARY]
    files = [file for file in files if file.is_file()]
    if not files:
        raise DataError(
            f"this Python has no source of its standard library in {root}; "
            "name files to learn from: unrolled train text FILE."
        )
    texts: list[str] = []
    size = 0
    for file in files:
        text = _read(file)
        size += file.stat().st_size
        if text is None or size > _LIMIT:
            break
        texts.append(text)
    return Corpus(_join(texts), tuple(map(str, files[: len(texts)])), ())


def _join(texts: list[str]) -> str:
    """One text, each part ended by a line break."""
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts if text)
