"""``PackedSequence``: rows of different lengths as torch packs them, the longest row first, step after step."""

from typing import NamedTuple

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class Unpacked(NamedTuple):
    """A packed sequence, padded; the rows in the order of their lengths."""

    x: Tensor  # (T, B, I)
    lengths: Tensor | None  # (B,), on the CPU; None where all have T steps
    packed: PackedSequence


def unpack(packed: PackedSequence) -> Unpacked:
    """Padded, time first, the rows in the order in which they are packed."""
    data, sizes = packed.data, packed.batch_sizes
    steps, rows = len(sizes), int(sizes[0])
    if int(sizes[-1]) == rows:
        return Unpacked(data.reshape(steps, rows, *data.shape[1:]), None, packed)
    x, lengths = pad_packed_sequence(PackedSequence(data, sizes))
    return Unpacked(x, lengths, packed)


def pack_data(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The data of a packed sequence, of a padded one."""
    if lengths is None:
        return x.flatten(0, 1)
    return pack_padded_sequence(x, lengths).data


def pack_like(x: Tensor, like: Unpacked) -> PackedSequence:
    """Padded outputs, packed as the input was."""
    packed = like.packed
    data = pack_data(x, like.lengths)
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
