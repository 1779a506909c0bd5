"""The folder that compiled kernels are kept in: where it is, whether it can be trusted, and atomic files in it.

What lies in it is loaded as machine code, so nobody but the user may be able to write there. Folders that others
can write to are refused; they are never mended, since what is in them may be somebody else's already.
"""

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ...core import UnsupportedStep

if sys.platform != "win32":
    import fcntl

REMEDY = "Set UNROLLED_CACHE to a folder that only you can write to."
ABANDONED = 3600  # seconds after which a temporary file is nobody's: no build takes that long
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # some network file systems
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

_held: set[int] = set()  # file descriptors of the locks that this process holds


def cache_folder() -> Path:
    """The absolute path of the folder, which need not exist.

    ``$UNROLLED_CACHE`` if set, else ``unrolled`` in the user's cache folder: ``$XDG_CACHE_HOME`` or ``~/.cache``,
    ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.

    Raises:
        UnsupportedStep: There is no home folder to put it in.
    """
    try:
        if named := os.environ.get("UNROLLED_CACHE"):
            return Path(named).expanduser().absolute()
        return _users_cache() / "unrolled"
    except RuntimeError as error:  # of expanduser: no such user, no home
        raise UnsupportedStep(f"no folder to keep kernels in ({error}). {REMEDY}") from error


def _users_cache() -> Path:
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():  # the standard says to ignore any other
        return xdg
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".cache"


def open_folder() -> Path:
    """The folder, made if it was missing, and checked.

    Raises:
        UnsupportedStep: It cannot be made, or somebody else could put files into it.
    """
    folder = cache_folder()
    try:
        if not os.path.lexists(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        fault = _fault_of(folder)
    except OSError as error:
        raise UnsupportedStep(f"{folder}: no folder to keep kernels in ({_words(error)}). {REMEDY}") from error
    if fault:
        raise UnsupportedStep(f"{folder}: {fault}, so kernels are neither kept nor loaded there. {REMEDY}")
    return folder


def _fault_of(folder: Path) -> str:
    """Why this folder cannot be trusted; empty if it can."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "expected a folder, got a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "expected a folder, got a file"
    if sys.platform == "win32":  # permissions are inherited from the user's own folder
        return ""
    if found.st_uid != os.geteuid():
        return f"expected a folder of user {os.geteuid()}, got one of user {found.st_uid}"
    if found.st_mode & _WRITABLE_BY_OTHERS:
        return f"others can write to it (chmod go-w {folder})"
    for parent in folder.resolve().parents:  # whoever may rename the folder can put another in its place
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"others can replace it, since everybody can write to {parent}"
    return ""


def read_own(path: Path) -> bytes | None:
    """The content of a file that only this user can have written; None if there is no such file."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return None
        if sys.platform != "win32" and (found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS):
            return None
        return path.read_bytes()
    except OSError:
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees a part of it, nor a loss of power leaves one."""
    descriptor, scratch = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder for what a compiler writes, gone at the end; those that a killed process left are swept."""
    sweep(folder)
    scratch = Path(tempfile.mkdtemp(prefix="build.", suffix=".tmp", dir=folder))
    try:  # not TemporaryDirectory: a forked child that exits meanwhile would remove it
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def sweep(folder: Path, older_than: float = ABANDONED) -> None:
    """Remove the temporary files and folders that nothing has touched for so many seconds."""
    for path in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > older_than:
                remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder and all in it; a link is removed, not what it points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file, waiting for it.

    The operating system frees it when the process dies, however it dies. Where there are no such locks (Windows,
    some network file systems) two processes may both build a kernel; each puts a whole one in place.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        _held.discard(descriptor)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile may still hold a copy
        os.close(descriptor)


def _forget_locks() -> None:
    """In a forked child: drop its copies, or the lock of a parent that is killed would outlive it."""
    while _held:
        os.close(_held.pop())


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_locks)


def _words(error: OSError) -> str:
    return error.strerror or str(error)
