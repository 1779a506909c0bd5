"""Checkpoints: one safetensors file each, complete or absent, every bit of it covered by a checksum."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
from torch import Tensor

from ..core import CheckpointError

FORMAT = 1
PARTIAL = ".partial"  # ends the name of a file that is being written
_KEY = "unrolled"  # the one entry of the file's metadata: JSON, with the checksum first
_FIELD = b'\\"sha256\\": \\"'  # as it stands in the file, in JSON inside JSON
_ZEROS = b"0" * 64


@dataclass
class Checkpoint:
    """Named tensors, and what else there is to know, as JSON."""

    tensors: dict[str, Tensor]
    info: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that at any moment ``path`` is the old one or the new one, whole.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.tensors.items()}
    entry = json.dumps({"sha256": _ZEROS.decode(), "format": FORMAT, "info": checkpoint.info}, allow_nan=False)
    data = bytearray(safetensors.torch.save(tensors, {_KEY: entry}))
    place = _digest_place(data)
    if place is None:
        raise CheckpointError(f"{path}: no place for the checksum in the file that safetensors made.")
    data[place : place + 64] = hashlib.sha256(data).hexdigest().encode()
    write_atomically(path, data)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check every bit of it.

    Raises:
        CheckpointError: the file is missing, damaged, not ours, or of a newer format; it is named.
    """
    try:
        data = bytearray(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read this checkpoint ({error.strerror}).") from error
    place = _digest_place(data)
    if place is None:
        raise CheckpointError(f"{path}: not a complete checkpoint of unrolled; restore the file from a copy.")
    stated = bytes(data[place : place + 64])
    data[place : place + 64] = _ZEROS
    if hashlib.sha256(data).hexdigest().encode() != stated:
        raise CheckpointError(f"{path}: damaged (its checksum does not match); restore the file from a copy.")
    length = int.from_bytes(data[:8], "little")
    entry = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    if entry["format"] > FORMAT:
        raise CheckpointError(
            f"{path}: made by a newer version (format {entry['format']}, this one reads {FORMAT}); upgrade unrolled."
        )
    try:
        tensors = safetensors.torch.load(bytes(data))
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error}).") from error
    # copies in memory of PyTorch's own: how it is aligned can decide the last bit of a matrix product
    return Checkpoint({name: tensor.clone() for name, tensor in tensors.items()}, entry["info"])


def _digest_place(data: bytearray) -> int | None:
    """Where in the file the 64 hexadecimal digits of the checksum stand; None where there are none."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        return None
    place = data.find(_FIELD, 8, 8 + length)
    return place + len(_FIELD) if place >= 0 and place + len(_FIELD) + 64 <= 8 + length else None


def write_atomically(path: Path, data: bytes | bytearray | str) -> None:
    """Write to a temporary file beside ``path``, flush it to the disk, and put it in place in one move.

    Raises:
        OSError: the disk is full or the folder cannot be written; the file is named.
    """
    try:
        with whole_file(path) as file:
            file.write(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is in place, flushed to the disk, when all is written, and not at all if something goes wrong before.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # /dev/null must stay what it is
        raise OSError(errno.EINVAL, "a device or a pipe cannot be replaced by a file", str(path))
    path = Path(os.path.realpath(path))  # a link stays, what it leads to is written
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~current_umask())  # a temporary file is private, the finished one as usual
        os.replace(name, path)
        _sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def current_umask() -> int:
    """The permissions that new files are to lack."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
