"""Sequences of any length, in memory while they are few, in a temporary file of the system where they are many."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 2**29  # bytes


class Sequences(Sequence[NDArray[Any]]):
    """Arrays (T, ...) of one dtype and one shape but for T; each is a view, of memory or of a file that is mapped.

    Args:
        values: all of them, one after the other (sum of T, ...).
        lengths: T of each.
    """

    def __init__(self, values: NDArray[Any], lengths: NDArray[Any]):
        self.values = values
        self.lengths = lengths
        self.begins = np.concatenate([[0], np.cumsum(lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        """One sequence; of a slice a list of them."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        place = index % len(self)
        return self.values[self.begins[place] : self.begins[place + 1]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[place] for place in range(len(self)))


def store(arrays: Iterable[NDArray[Any]], in_memory: int = IN_MEMORY) -> Sequences:
    """Take in arrays one by one; none but the current one needs to fit in memory.

    Args:
        arrays: (T, ...) each, of one dtype and one shape but for T.
        in_memory: up to so many bytes no file is used; it has no name, and ends with the process.
    """
    lengths: list[int] = []
    shape: tuple[int, ...] = (0,)
    dtype = np.dtype(np.float32)
    with tempfile.SpooledTemporaryFile(max_size=in_memory) as file:
        for array in arrays:
            if lengths and (array.shape[1:] != shape[1:] or array.dtype != dtype):
                raise ValueError(f"expected arrays alike, got {array.dtype} {array.shape} after {dtype} {shape}")
            shape, dtype = array.shape, array.dtype
            lengths.append(len(array))
            file.write(np.ascontiguousarray(array).tobytes())
        total = (sum(lengths), *shape[1:])
        size = int(np.prod(total)) * dtype.itemsize
        file.seek(0)
        if size <= in_memory:
            values = np.frombuffer(bytearray(file.read()), dtype).reshape(total)
        else:
            values = np.memmap(file._file, dtype, "r", shape=total)
        return Sequences(values, np.array(lengths, dtype=np.int64))
