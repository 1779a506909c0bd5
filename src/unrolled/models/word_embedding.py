"""Vectors of words that also know of what characters the words are made."""

import torch
from torch import Tensor, nn

from ..core import InputError, InputTypeError, at_least_1


class WordEmbedding(nn.Module):
    """The vector of a word: e = U_w + 1/n sum_i P_g(i), its own and the mean of those of its n parts.

    Parts are runs of characters, so a word that was never seen still has a vector, near those of words like it.
    :func:`word_numbers` makes the numbers w, g(1) ... g(n) of a word.

    Args:
        vocabulary_size: number of words, the unknown one included.
        embedding_size: features E of a vector.
        subwords: number of vectors that the parts share by a hash; 0: words only, as ``nn.Embedding``.
        word_dropout: probability of taking a word for the unknown one, in training, so that its parts, and the words
            around it, learn to do without.
        unknown: the number of the unknown word.
        deviation: standard deviation of the numbers at the beginning.

    Shape:
        x: whole numbers (T, B) of words, or (T, B, 1 + N), of words and their parts, where 0 is no part; the result is
        (T, B, E).

    Raises:
        InputError: a size or a probability is not as above.

    Reference:
        Bojanowski et al. 2017, arXiv:1607.04606; word dropout: Iyyer et al. 2015, doi:10.3115/v1/P15-1162.

    Example:
        >>> vocabulary = {"<unk>": 0, "cat": 1, "sat": 2}
        >>> embedding = WordEmbedding(len(vocabulary), 16, subwords=1000)
        >>> from unrolled.models import word_numbers
        >>> table = word_numbers(["cat", "sat", "cats"], vocabulary, subwords=1000)
        >>> places = torch.tensor([[2, 0], [1, 1]])  # (T, B) in the list of words
        >>> embedding(table[places]).shape
        torch.Size([2, 2, 16])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        subwords: int = 0,
        *,
        word_dropout: float = 0.0,
        unknown: int = 0,
        deviation: float = 0.1,
    ):
        super().__init__()
        vocabulary_size = at_least_1(vocabulary_size, "vocabulary_size")
        self.embedding_dim = at_least_1(embedding_size, "embedding_size")
        if subwords < 0:
            raise InputError(f"subwords: expected a number of vectors, 0 for none, got {subwords}.")
        if not 0 <= word_dropout < 1:
            raise InputError(f"word_dropout: expected a probability from 0 to below 1, got {word_dropout!r}.")
        if not 0 <= unknown < vocabulary_size:
            raise InputError(f"unknown: expected a number below vocabulary_size = {vocabulary_size}, got {unknown}.")
        self.word_dropout = word_dropout
        self.unknown = unknown
        self.words = nn.Embedding(vocabulary_size, embedding_size)
        self.parts = nn.EmbeddingBag(subwords + 1, embedding_size, mode="mean", padding_idx=0) if subwords else None
        with torch.no_grad():
            self.words.weight.normal_(std=deviation)
            if self.parts is not None:
                self.parts.weight.normal_(std=deviation)
                self.parts.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """The vectors (T, B, E).

        Raises:
            InputError: x has other dimensions.
            InputTypeError: x is not of whole numbers.
        """
        if x.is_floating_point() or x.dtype == torch.bool:
            raise InputTypeError(f"x: expected whole numbers of words, got {x.dtype}.")
        if x.dim() not in (2, 3) or not x.shape[-1]:
            raise InputError(f"x: expected (T, B), or (T, B, 1 + N) with the parts of words, got {tuple(x.shape)}.")
        words, parts = (x, None) if x.dim() == 2 else (x[..., 0], x[..., 1:])
        if self.word_dropout and self.training:
            taken = torch.rand(words.shape, device=x.device) < self.word_dropout
            words = words.masked_fill(taken, self.unknown)
        vectors: Tensor = self.words(words)
        if self.parts is None or parts is None or not parts.shape[-1]:
            return vectors
        of_parts: Tensor = self.parts(parts.flatten(0, 1))
        return vectors + of_parts.view_as(vectors)

    def extra_repr(self) -> str:
        """The options that the tables do not show."""
        return f"word_dropout={self.word_dropout}, unknown={self.unknown}"
