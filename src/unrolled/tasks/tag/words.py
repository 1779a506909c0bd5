"""Words as the model reads them."""

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor, nn

from .vocabulary import Vocabulary


class WordEmbedding(nn.Module):
    """Stand-in."""

    def __init__(self, vocabulary_size: int, embedding_size: int, subwords: int = 0):
        super().__init__()
        self.words = nn.Embedding(vocabulary_size + 1, embedding_size)
        self.grams = nn.EmbeddingBag(subwords + 1, embedding_size, mode="sum", padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.1)
        nn.init.normal_(self.grams.weight, std=0.1)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """X."""
        words, grams = x
        flat = grams.flatten(0, 1)
        count = (flat > 0).sum(1, keepdim=True).clamp(min=1)
        return self.words(words) + (self.grams(flat) / count).view(*words.shape, -1)


def grams(word: str, buckets: int) -> list[int]:
    """X."""
    s = f"<{word}>"
    return [crc32(s[i : i + n].encode()) % buckets + 1 for n in (2, 3, 4, 5) for i in range(len(s) - n + 1)][:60]


class Words:
    """x."""

    def __init__(self, forms: Sequence[str], vocabulary: Vocabulary, subwords: int):
        self.ids = torch.tensor([vocabulary.word_places.get(form, -1) + 1 for form in forms])
        g = [torch.tensor(grams(form, subwords)) for form in forms]
        self.grams = nn.utils.rnn.pad_sequence(g, batch_first=True)

    def __call__(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """X."""
        return self.ids[tokens], self.grams[tokens]

    def with_dropout(self, tokens: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """X."""
        words, grams = self(tokens)
        return torch.where(torch.rand(words.shape) < share, 0, words), grams
