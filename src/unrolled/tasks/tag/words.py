"""Words as the model reads them: which word it is, how it is written, and which parts it has."""

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...models import WordEmbedding, word_numbers
from .vocabulary import Vocabulary

SHORTEST, LONGEST = 2, 5  # characters of a part; short ones see endings
SHAPES = 256  # vectors that the shapes of words share
_RUNS = ((r"[A-ZÀ-ÖØ-Þ]+", "X"), (r"[^\W\d_X]+", "x"), (r"\d+", "0"))


def shape(word: str) -> str:
    """How a word is written: its capitals, other letters and digits, each run of them as one character.

    Example:
        >>> shape("McDonald"), shape("U.S."), shape("10:30am"), shape("@ana_b")
        ('XxXx', 'X.X.', '0:0x', '@x_x')
    """
    for pattern, sign in _RUNS:
        word = re.sub(pattern, sign, word)
    return word


class TokenEmbedding(nn.Module):
    """The vector of a token: that of the word in lower case and of its parts, plus that of its shape.

        e = U_w + 1/n sum_i P_g(i) + S_s

    So Boston, which was never seen, is boston with a capital; and 1999 is written like 2024.

    Args:
        vocabulary_size: words, without the unknown one.
        embedding_size: features E of a vector.
        subwords: vectors that the parts share; 0: no parts, and no shapes.
        word_dropout: as in :class:`unrolled.models.WordEmbedding`.

    Shape:
        x (T, B, 2 + N), what :class:`Words` makes: shape, word, parts; the result is (T, B, E).

    Reference:
        Bojanowski et al. 2017, arXiv:1607.04606; shapes: Collins 2002, doi:10.3115/1073083.1073165.
    """

    def __init__(self, vocabulary_size: int, embedding_size: int, subwords: int, word_dropout: float = 0.0):
        super().__init__()
        self.words = WordEmbedding(vocabulary_size + 1, embedding_size, subwords, word_dropout=word_dropout)
        self.shapes = WordEmbedding(SHAPES, embedding_size) if subwords else None

    def forward(self, x: Tensor) -> Tensor:
        """The vectors."""
        vectors: Tensor = self.words(x[..., 1:])
        return vectors if self.shapes is None else vectors + self.shapes(x[..., 0])


class Words:
    """A list of words, ready to be looked up.

    Args:
        forms: the words.
        vocabulary: those that the model knows; another one is the unknown word, with the shape and the parts that it
            has.
        subwords: the number of vectors that parts share.

    Shape:
        tokens (T, B), places in the list; the result (T, B, 2 + N) is what :class:`TokenEmbedding` reads.
    """

    def __init__(self, forms: Sequence[str], vocabulary: Vocabulary, subwords: int):
        known = {word: place + 1 for word, place in vocabulary.word_places.items()}  # 0 is the unknown word
        as_lower = [form.lower() for form in forms]
        parts = word_numbers(as_lower, known, subwords=subwords, smallest=SHORTEST, largest=LONGEST)
        parts[:, 0] = torch.tensor(
            [known.get(form, known.get(low, 0)) for form, low in zip(forms, as_lower, strict=True)]
        )
        shapes = [zlib.crc32(shape(form).encode("utf-8", "surrogatepass")) % SHAPES for form in forms]
        self.table = torch.cat([torch.tensor(shapes).view(-1, 1), parts], 1).to(torch.int32)

    def __call__(self, tokens: Tensor) -> Tensor:
        """The numbers of these words, with room for the parts of the longest of them."""
        rows = self.table[tokens.flatten()]
        width = 2 + int((rows[:, 2:] != 0).sum(1).max())
        return rows[:, :width].view(*tokens.shape, width).long()
