"""Words as numbers: which word it is, and which parts it has, so that a word never seen says something too."""

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..core import InputError, at_least_1


def word_parts(word: str, smallest: int = 3, largest: int = 6) -> list[str]:
    """The runs of ``smallest`` to ``largest`` characters of ``<word>``, shorter ones first, each as often as it occurs.

    Reference:
        Bojanowski et al. 2017, arXiv:1607.04606.

    Example:
        >>> word_parts("able", 3, 4)
        ['<ab', 'abl', 'ble', 'le>', '<abl', 'able', 'ble>']
    """
    marked = f"<{word}>"
    return [
        marked[start : start + size]
        for size in range(smallest, largest + 1)
        for start in range(len(marked) - size + 1)
        if size < len(marked)  # all of it is the word itself
    ]


def word_numbers(
    words: Sequence[str],
    vocabulary: Mapping[str, int],
    *,
    subwords: int = 0,
    smallest: int = 3,
    largest: int = 6,
    most: int = 60,
    unknown: int = 0,
) -> Tensor:
    """What :class:`WordEmbedding` reads of each word: its number, and those of its parts.

    Make it once for all the different words of the data, as a table, and take rows of it for a batch: with ``places``
    (T, B) in the list of words, ``table[places]`` is the (T, B, 1 + N) that the embedding takes. For new text, with
    words that the vocabulary does not have, make the table of its words in the same way.

    Args:
        words: W words.
        vocabulary: the number of each word that is known.
        subwords: number of vectors that the parts of words share, by a hash that is the same on every machine
            (CRC-32 of UTF-8); 0: no parts.
        smallest: characters of the shortest parts.
        largest: characters of the longest.
        most: parts of a word that are kept, at most; shorter ones first.
        unknown: the number of a word that is not in the vocabulary.

    Returns:
        Whole numbers (W, 1 + N): the word's, then its parts' from 1 to ``subwords``, filled up with 0; N is that of the
        word with the most parts.

    Raises:
        InputError: a size is out of range.

    Example:
        >>> word_numbers(["a", "able", "ably"], {"a": 1, "able": 2}, subwords=100, largest=3)
        tensor([[ 1,  0,  0,  0,  0],
                [ 2, 45, 56,  1, 68],
                [ 0, 45, 56, 80, 19]])
    """
    if subwords < 0:
        raise InputError(f"subwords: expected a number of vectors, 0 for none, got {subwords}.")
    if not 1 <= smallest <= largest:
        raise InputError(f"smallest, largest: expected 1 <= smallest <= largest, got {smallest} and {largest}.")
    at_least_1(most, "most")
    rows = []
    for word in words:
        parts = word_parts(word[:most], smallest, largest)[:most] if subwords else []
        hashed = (1 + zlib.crc32(part.encode("utf-8", "surrogatepass")) % subwords for part in parts)
        rows.append([vocabulary.get(word, unknown), *hashed])
    width = max(map(len, rows), default=1)
    return torch.tensor([row + [0] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)
