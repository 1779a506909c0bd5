"""From text to tokens and back: characters, bytes, byte-pair encoding, or words."""

import codecs
import json
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...core import CheckpointError, DataError
from ..records import recorded
from .words import WordTokenizer

_FORMAT = 1
_BPE_SIZE = 1024

# The tokenizers library spells a byte as one visible character: itself, or the next one from U+0100 on.
_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN = sorted(set(range(256)) - set(_VISIBLE))
_BYTES = {chr(b): b for b in _VISIBLE} | {chr(0x100 + place): b for place, b in enumerate(_HIDDEN)}


class Tokenizer(Protocol):
    """What a tokenizer can do."""

    kind: str
    size: int

    def encode(self, text: str) -> Tensor:
        """The tokens of a text, (N,) of whole numbers."""

    def stream(self, after: str = "") -> Callable[[int], str]:
        """A function from one token after another to the text that it completes (often one character).

        Args:
            after: the text that it goes on from.
        """

    def save(self) -> object:
        """What :func:`load_tokenizer` makes it again from, as JSON takes it."""


class CharacterTokenizer:
    """Every character of the corpus is a token."""

    kind = "characters"

    def __init__(self, alphabet: str):
        self.alphabet = alphabet
        self.size = len(alphabet)
        self._codes = np.array([ord(c) for c in alphabet], dtype=np.uint32)  # sorted

    def encode(self, text: str) -> Tensor:
        """Raises DataError for a character that is not in the alphabet."""
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        places = np.searchsorted(self._codes, codes).clip(max=self.size - 1)
        if not np.array_equal(self._codes[places], codes):
            check_alphabet(text, self.alphabet, "the text")
        return torch.from_numpy(places.astype(np.int32))

    def stream(self, after: str = "") -> Callable[[int], str]:
        """One character a token."""
        return self.alphabet.__getitem__

    def save(self) -> object:
        """The alphabet."""
        return self.alphabet


class ByteTokenizer:
    """Every byte of the text in UTF-8 is a token; any text can be read."""

    kind = "bytes"
    size = 256

    def encode(self, text: str) -> Tensor:
        """256 tokens."""
        return torch.from_numpy(np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32))

    def stream(self, after: str = "") -> Callable[[int], str]:
        """A character when its last byte has come; what is not UTF-8 becomes U+FFFD."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        return lambda token: decoder.decode(bytes([token]))

    def save(self) -> object:
        """Nothing to keep."""
        return None


class BPETokenizer:
    """Byte-pair encoding over bytes, learnt from the corpus; any text can be read.

    Reference:
        Sennrich et al. 2016, arXiv:1508.07909.
    """

    kind = "bpe"

    def __init__(self, saved: str):
        import tokenizers  # only where it is used

        self._tokenizer = tokenizers.Tokenizer.from_str(saved)
        self.size = self._tokenizer.get_vocab_size()

    @classmethod
    def learn(cls, text: str, size: int) -> "BPETokenizer":
        """Learn so many tokens from a text."""
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, trainers

        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
        made.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(made.to_str())

    def encode(self, text: str) -> Tensor:
        """At most so many tokens as bytes."""
        lines = self._tokenizer.encode_batch_fast(text.splitlines(keepends=True))
        return torch.tensor([token for line in lines for token in line.ids], dtype=torch.int32)

    def stream(self, after: str = "") -> Callable[[int], str]:
        """A character when its last byte has come, as with bytes."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        return lambda token: decoder.decode(bytes(_BYTES[c] for c in self._tokenizer.id_to_token(token) or ""))

    def save(self) -> object:
        """The merges, in the tokenizers library's own JSON."""
        return self._tokenizer.to_str()


def make_tokenizer(kind: str, text: str, vocabulary_size: int | None = None) -> Tokenizer:
    """A tokenizer for a corpus; the size is of bpe and of words."""
    if kind == "bytes":
        return ByteTokenizer()
    if kind == "bpe":
        return BPETokenizer.learn(text, vocabulary_size or _BPE_SIZE)
    if kind == "words":
        return WordTokenizer.learn(text, vocabulary_size)
    return CharacterTokenizer("".join(sorted(set(text))))


def dump_tokenizer(tokenizer: Tokenizer, alphabet: str) -> str:
    """The text of a run's tokenizer.json; the alphabet is the characters that the model has seen."""
    record = {"format": _FORMAT, "kind": tokenizer.kind, "alphabet": alphabet, "saved": tokenizer.save()}
    return json.dumps(record) + "\n"


def load_tokenizer(text: str, name: str) -> tuple[Tokenizer, str]:
    """The tokenizer, and the alphabet that the model has seen.

    Raises:
        CheckpointError: the file is not what :func:`dump_tokenizer` wrote; it is named.
    """
    with recorded(text, name, _FORMAT) as record:
        kind, saved, alphabet = record["kind"], record["saved"], str(record["alphabet"])
        if kind == "bytes":
            return ByteTokenizer(), alphabet
        if kind == "characters":
            return CharacterTokenizer(saved), alphabet
        if kind == "bpe":
            return BPETokenizer(saved), alphabet
        if kind == "words":
            return WordTokenizer(saved), alphabet
    raise CheckpointError(f"{name}: expected characters, bytes, bpe or words, got {kind!r}; upgrade unrolled.")


def check_alphabet(text: str, alphabet: str, what: str) -> None:
    """Raise DataError if a text has characters that the model has never seen."""
    unseen = sorted(set(text) - set(alphabet))
    if unseen:
        shown = " ".join(repr(c) for c in unseen[:8]) + (" ..." if len(unseen) > 8 else "")
        raise DataError(
            f"{what}: expected only characters that the model was trained on, got {len(unseen)} that it has "
            f"never seen: {shown}. Leave them out, or train on text that has them."
        )
