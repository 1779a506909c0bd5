"""Whether the header of a recording tells the truth about its length: libsndfile reads a false one silently."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal

from ...core import DataError

LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000  # samples a second; outside of it a header is damaged, not the world
Order = Literal["little", "big"]
_WAVS: dict[bytes, Order] = {b"RIFF": "little", b"RF64": "little", b"RIFX": "big"}
_STREAMED = 0x7FFF_F000  # programs that cannot go back to fill in a size write this, 0x7FFFFFFF or 0xFFFFFFFF
_OGG_PAGE = 65_307  # bytes at most


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    begin: int  # of its content
    length: int  # as it says

    @property
    def end(self) -> int:
        """Where the next begins: lengths are filled up to even ones."""
        return self.begin + self.length + self.length % 2


def opened(path: Path, file: BinaryIO, name: str) -> str | bytes | io.BytesIO:
    """What to give to libsndfile: the path, or the bytes of a WAV whose header lacks the size, with the size.

    Args:
        path: the recording.
        file: the same, open.
        name: what an error calls it.

    Raises:
        DataError: the header tells of more than the file holds, of less, or of an impossible rate.
    """
    size = path.stat().st_size
    first = file.read(12)
    if size == 0:
        raise DataError(f"{name}: expected a recording, got an empty file; leave this file out.")
    if first[:4] in _WAVS and first[8:] == b"WAVE":
        return _wav(path, file, name, size, _WAVS[first[:4]])
    if first[:4] == b"FORM":
        for chunk in _chunks(file, 12, "big"):
            if chunk.name == b"SSND":
                _check_whole(name, chunk.begin, chunk.length, size)
                if not _only_chunks(file, chunk.end, size, "big"):
                    raise _more(name, chunk.length, size - chunk.end, "export it again")
                break
    elif first[:4] == b".snd":
        begin, length = struct.unpack(">II", first[4:12])
        if length < _STREAMED:
            _check_whole(name, begin, length, size)
            if not _only_zeros(file, begin + length):
                raise _more(name, length, size - begin - length, "export it again")
    elif path.suffix.lower() == ".mp3" and not _may_be_mp3(first + file.read(4096)):
        raise DataError(f"{name}: expected a recording, got a file without a frame of MP3; leave this file out.")
    return _named(path)


def check_rate(rate: int, name: str) -> None:
    """That a rate can be one of a recording.

    Raises:
        DataError: it cannot.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DataError(
            f"{name}: expected {LOWEST_RATE} to {HIGHEST_RATE} samples a second, got a header that tells of {rate}; "
            "export the recording again."
        )


def is_cut_ogg(path: Path) -> bool:
    """Whether a file is an Ogg stream whose last page is missing, or is not whole."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - _OGG_PAGE))
        _, _, page = file.read().rpartition(b"OggS")
    if len(page) < 23 or not page[1] & 4:  # 4: the last of its stream
        return True
    lengths = page[23 : 23 + page[22]]
    return len(page) < 23 + page[22] + sum(lengths)


def _wav(path: Path, file: BinaryIO, name: str, size: int, order: Order) -> str | bytes | io.BytesIO:
    length_64 = 0
    for chunk in _chunks(file, 12, order):
        file.seek(chunk.begin)
        if chunk.name == b"fmt " and chunk.end <= size:
            check_rate(int.from_bytes(file.read(8)[4:], order), name)
        elif chunk.name == b"ds64":  # of a file larger than 4 GB
            length_64 = int.from_bytes(file.read(16)[8:], order)
        elif chunk.name == b"data":
            if length_64 and chunk.length == 0xFFFF_FFFF:
                _check_whole(name, chunk.begin, length_64, size)
            elif chunk.length < _STREAMED:
                _check_whole(name, chunk.begin, chunk.length, size)
                if not _only_chunks(file, chunk.end, size, order):
                    return _with_size(path, chunk, name, size, order)
            break
    return _named(path)


def _with_size(path: Path, data: _Chunk, name: str, size: int, order: Order) -> io.BytesIO:
    """Of a WAV with bytes after its samples that are no chunk: no length means all of them, another one is false."""
    if data.length:
        mend = f"mend it, for example: ffmpeg -ignore_length 1 -i {path.name} mended.wav"
        raise _more(name, data.length, size - data.end, mend)
    content = bytearray(path.read_bytes())
    content[data.begin - 4 : data.begin] = min(size - data.begin, 0xFFFF_FFFF).to_bytes(4, order)
    return io.BytesIO(content)


def _named(path: Path) -> str | bytes:
    """The path as libsndfile takes it: whole, since ``-`` alone is its standard input, and of any bytes."""
    return str(path.absolute()) if os.name == "nt" else os.fsencode(path.absolute())


def _more(name: str, told: int, more: int, remedy: str) -> DataError:
    return DataError(
        f"{name}: expected as many samples as the header tells of, {told} bytes, got {more} bytes more; {remedy}."
    )


def _check_whole(name: str, begin: int, length: int, size: int) -> None:
    if begin + length > size:
        raise DataError(
            f"{name}: the recording is cut: its header tells of {length} bytes of samples, the file holds "
            f"{max(0, size - begin)}; restore the file from its source, or leave it out."
        )


def _chunks(file: BinaryIO, at: int, order: Order) -> Iterator[_Chunk]:
    """Those of a RIFF or an IFF file, one after the other, as far as there are some."""
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return
        chunk = _Chunk(header[:4], at + 8, int.from_bytes(header[4:], order))
        yield chunk
        at = chunk.end


def _only_chunks(file: BinaryIO, at: int, size: int, order: Order) -> bool:
    """Whether nothing but chunks, or zeros that fill up the file, stands after the samples."""
    for chunk in _chunks(file, at, order):
        if not (chunk.name.isascii() and chunk.name.decode().isprintable() and chunk.begin + chunk.length <= size):
            return _only_zeros(file, at)
        at = chunk.end
    return True


def _only_zeros(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return not file.read().strip(b"\0")


def _may_be_mp3(first: bytes) -> bool:
    """Whether a tag or a frame begins here; libsndfile's own search for one writes to the terminal."""
    return first[:3] == b"ID3" or any(a == 0xFF and b & 0xE0 == 0xE0 for a, b in pairwise(first))
