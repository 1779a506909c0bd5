"""What is learnt from, what is held out, and what a loss on it means in other units."""

import math
from dataclasses import dataclass

from torch import Tensor

from ...core import DataError
from .corpus import Corpus, read_corpus
from .options import DataOptions
from .tokenizers import Tokenizer, make_tokenizer


@dataclass(frozen=True)
class Texts:
    """The text that is learnt from, and the text for validation: a file of its own, or the end of the corpus."""

    training: str
    held_out: str


@dataclass(frozen=True)
class Split:
    """The tokens of both."""

    training: Tensor  # (N,)
    validation: Tensor  # (N,)
    tokens_per_character: float  # of the latter


def divide(corpus: Corpus, data: DataOptions) -> Texts:
    """Cut the corpus, or read the file for validation.

    Raises:
        DataError: the file cannot be read.
    """
    if data.validation is not None:
        return Texts(corpus.text, read_corpus([data.validation]).text)
    border = len(corpus.text) - max(1, round(len(corpus.text) * data.validation_share))
    return Texts(corpus.text[:border], corpus.text[border:])


def tokenizer_for(texts: Texts, data: DataOptions) -> Tokenizer:
    """A tokenizer; a vocabulary of words is learnt from what is learnt from, the others read the text held out too."""
    text = texts.training if data.tokenizer == "words" else texts.training + texts.held_out
    return make_tokenizer(data.tokenizer, text, data.vocabulary_size)


def split(texts: Texts, tokenizer: Tokenizer) -> Split:
    """The tokens of both texts.

    Raises:
        DataError: too few are held out.
    """
    validation = tokenizer.encode(texts.held_out)
    if len(validation) < 2:
        raise DataError(
            f"expected at least 2 tokens for validation, got {len(validation)} beside {len(texts.training)} characters "
            "to learn from; give more text, or a larger --validation-share."
        )
    return Split(
        tokenizer.encode(texts.training), validation, tokens_per_character(tokenizer, texts.held_out, validation)
    )


def tokens_per_character(tokenizer: Tokenizer, text: str, tokens: Tensor) -> float:
    """Of the tokens that are predicted, all but the first, over the characters that they complete."""
    given = tokenizer.stream()(int(tokens[0]))
    return (len(tokens) - 1) / max(1, len(text) - len(given))


def figures(tokenizer: Tokenizer, loss: float, per_character: float) -> dict[str, float]:
    """What a loss in nats a token means: the perplexity of a word, or bits a character."""
    if tokenizer.kind == "words":
        return {"perplexity": perplexity(loss)}
    return {"bits_per_character": loss * per_character / math.log(2)}


def perplexity(loss: float) -> float:
    """The exponential of a loss in nats, kept finite."""
    return math.exp(min(loss, 700.0))
