"""What the network reads: batches of some examples, put together when they are needed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...models import word_numbers
from ..batches import pad
from .encoder import Encoder
from .examples import Examples

LARGEST_PART, MOST_PARTS = 5, 40  # characters of a part of a word, parts of a word


class Reader:
    """The batches of some examples.

    Args:
        encoder: turns them into what the network reads.
        examples: the examples.
        subwords: vectors that the parts of words share, of text; 0 for none.
    """

    def __init__(self, encoder: Encoder, examples: Examples, subwords: int):
        self.encoder = encoder
        self.rows = examples.rows
        self.lengths = np.array([len(row) for row in examples.rows], dtype=np.int64)
        self.classes = len(encoder.classes)
        self.table: Tensor | None = None  # of text: of each distinct word what the embedding reads (W, 1 + N)
        if encoder.vocabulary is not None:
            known = encoder.vocabulary.positions
            self.table = word_numbers(
                examples.words,
                known,
                subwords=subwords,
                largest=LARGEST_PART,
                most=MOST_PARTS,
                unknown=encoder.vocabulary.unknown,
            )

    def __call__(self, rows: Sequence[int] | NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What the network takes of these rows, and lengths (B,).

        Standardised numbers (T, B, F); of text the numbers of words and of their parts (T, B, 1 + N).
        """
        chosen = [self.rows[row] for row in rows]
        if self.table is None:
            return self.encoder.series(chosen)
        places, lengths = pad(chosen)
        return self.table[places.long()], lengths
