"""Kernels and texts, kept on disk: found there, or built once however many processes ask.

A kernel is three files named after its key: ``.c`` (its source, for people), the shared library, and ``.json``, the
record of what the library is. The record holds the library's hash, so whatever is damaged is seen and built anew.
The key is made of everything that decides the library's content but one: the compiler that is found when ``$CC`` is
not set. So a machine that has lost its compiler still runs what it has built.
"""

import ctypes
import datetime
import hashlib
import json
import os
import re
import sysconfig
from pathlib import Path
from typing import Any

from ...core import InputError, UnsupportedStep
from .folder import REMEDY, locked, open_folder, read_own, remove, scratch_folder, sweep, write_whole
from .folder import cache_folder as where
from .toolchain import COMMON_FLAGS, ISA_FLAGS, LIBRARIES, SUFFIX, compile_library, instruction_set, processor

FORMAT = 1  # raised whenever the files or their names change
SETTINGS = ("UNROLLED_CACHE", "UNROLLED_ISA", "CC", "PATH", "HOME", "XDG_CACHE_HOME")
_OURS = re.compile(r"[0-9a-f]{64}(\.(c|json|lock|so|dll)|-[a-z_]+\.text)|zig")
_KIND = re.compile(r"[a-z_]+")

_loaded: dict[tuple[Path, str], ctypes.CDLL] = {}


def load(source: str) -> ctypes.CDLL:
    """The shared library that a C text compiles to: one of this process, one on disk, or one built now.

    The text is plain C with libm. A function that is to be called is declared with
    ``__attribute__((visibility("default")))``. Where a library is on disk no process is started.

    Args:
        source: The text, which alone must decide what the library does.

    Returns:
        The library, the same object every time.

    Raises:
        InputError: ``$UNROLLED_ISA`` is not a name that is known.
        UnsupportedStep: There is no compiler that works, the text does not compile, the folder is not safe or
            cannot be written to, or the processor lacks ``$UNROLLED_ISA``.
    """
    isa = instruction_set()
    key = kernel_key(source, isa)
    known = _loaded.get((where(), key))
    if known is not None:
        return known
    folder = open_folder()
    library = _find(folder, key, isa)
    if library is None:
        try:
            library = _build(folder, key, source, isa)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnsupportedStep(f"{folder}: cannot keep a kernel there ({reason}). {REMEDY}") from error
    return _loaded.setdefault((folder, key), library)


def settings() -> tuple[str | None, ...]:
    """All of the environment that decides what :func:`load` returns or raises."""
    return tuple(os.environ.get(name) for name in SETTINGS)


def kernel_key(source: str, isa: str) -> str:
    """The name of a kernel's files: a hash of all that decides what is in the library."""
    compiler = os.environ.get("CC", "").strip()  # whoever names one wants its kernels
    flags = [*COMMON_FLAGS, *ISA_FLAGS[isa], *LIBRARIES]
    return _hash(json.dumps([FORMAT, source, flags, sysconfig.get_platform(), processor(), compiler]).encode())


def _find(folder: Path, key: str, isa: str) -> ctypes.CDLL | None:
    """The library on disk; None if it is missing, damaged, or made for another machine."""
    path = folder / f"{key}{SUFFIX}"
    content = read_own(path)
    if content is None or not _fits(_record(folder, key), content, isa):
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # as after a change of the system's C library
        return None


def _record(folder: Path, key: str) -> Any:
    try:
        return json.loads(read_own(folder / f"{key}.json") or b"null")
    except ValueError:
        return None


def _fits(record: Any, library: bytes, isa: str) -> bool:
    expected = {"format": FORMAT, "sha256": _hash(library), "processor": processor(), "isa": isa}
    return isinstance(record, dict) and expected.items() <= record.items()


def _build(folder: Path, key: str, source: str, isa: str) -> ctypes.CDLL:
    """Build the library, unless another process does so meanwhile."""
    with locked(folder / f"{key}.lock"):
        library = _find(folder, key, isa)
        if library is not None:
            return library
        text, path = folder / f"{key}.c", folder / f"{key}{SUFFIX}"
        write_whole(text, source.encode())
        with scratch_folder(folder) as scratch:
            compiler = compile_library(source, scratch / path.name, isa, text)
            content = (scratch / path.name).read_bytes()
        record = {
            "format": FORMAT,
            "sha256": _hash(content),
            "processor": processor(),
            "isa": isa,
            "compiler": list(compiler.command),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        write_whole(path, content)
        write_whole(folder / f"{key}.json", json.dumps(record, indent=1).encode())
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise UnsupportedStep(f"{path}: built, but the system will not load it ({error}). {REMEDY}") from error


def store_text(kind: str, key: str, text: str) -> None:
    """Keep a text, such as a trace as JSON. Trouble with the disk or the folder is passed over in silence.

    Args:
        kind: What it is, in lower-case letters and ``_``.
        key: Everything that decides what it says.
        text: The text.
    """
    name, content = _text_name(kind, key), text.encode()
    try:
        write_whole(open_folder() / name, f"{_text_seal(name, content)}\n".encode() + content)
    except (OSError, UnsupportedStep):
        return


def find_text(kind: str, key: str) -> str | None:
    """The text that was kept under this key; None if there is none, or it is damaged."""
    name = _text_name(kind, key)
    try:
        found = read_own(open_folder() / name)
    except UnsupportedStep:
        return None
    seal, _, content = (found or b"").partition(b"\n")
    return content.decode() if seal.decode(errors="replace") == _text_seal(name, content) else None


def _text_name(kind: str, key: str) -> str:
    if not _KIND.fullmatch(kind):
        raise InputError(f"kind: expected lower-case letters and _, got {kind!r}.")
    return f"{_hash(json.dumps([FORMAT, kind, key]).encode())}-{kind}.text"


def _text_seal(name: str, content: bytes) -> str:
    return _hash(name.encode() + b"\n" + content)


def clear_cache() -> int:
    """Remove every file that this module made, and no other; how many kernels that were.

    Processes that have loaded a kernel keep it, and what is being built now is finished.

    Raises:
        UnsupportedStep: The folder is not safe.
        OSError: A file cannot be removed.
    """
    if not where().exists():
        return 0
    ours = [path for path in open_folder().iterdir() if _OURS.fullmatch(path.name)]
    for path in ours:
        remove(path)
    sweep(where())
    return sum(path.suffix == SUFFIX for path in ours)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
