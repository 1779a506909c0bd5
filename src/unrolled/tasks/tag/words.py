"""Words as the model reads them: which word it is, and which parts it has."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models import word_numbers
from .vocabulary import Vocabulary

SHORTEST, LONGEST = 2, 5  # characters of a part; short ones see endings, capitals and digits


class Words:
    """A list of words, ready to be looked up.

    Args:
        forms: the words.
        vocabulary: those that the model knows; another one is the unknown word, with the parts that it has.
        subwords: the number of vectors that parts share.

    Shape:
        tokens (T, B), places in the list; the result (T, B, 1 + N) is what
        :class:`unrolled.models.WordEmbedding` reads.
    """

    def __init__(self, forms: Sequence[str], vocabulary: Vocabulary, subwords: int):
        known = {word: place + 1 for word, place in vocabulary.word_places.items()}  # 0 is the unknown word
        table = word_numbers(forms, known, subwords=subwords, smallest=SHORTEST, largest=LONGEST)
        self.table = table.to(torch.int32)

    def __call__(self, tokens: Tensor) -> Tensor:
        """The numbers of these words, with room for the parts of the longest of them."""
        flat = tokens.flatten()
        width = max(1, int((self.table[flat] != 0).sum(1).max()) + 1)
        return self.table[flat, :width].view(*tokens.shape, -1).long()
