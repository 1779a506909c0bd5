"""Writing: one token after another, each drawn from what the model expects next."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...models import LanguageModel
from ...models.decoding import probable
from .tokenizers import Tokenizer

RECENT = 64  # tokens that the repetition penalty looks back on


def write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """Text that goes on from the prompt, piece by piece as it is drawn; the prompt is not repeated.

    Args:
        model: in evaluation mode.
        tokenizer: the model's.
        prompt: with none, the model begins as after a line break (or its first token).
        length: characters to write.
        temperature: see :func:`draw`.
        top_k: see :func:`draw`.
        top_p: see :func:`draw`.
        repetition_penalty: see :func:`draw`.
        seed: the same seed writes the same text; None for another each time.
    """
    device = next(model.parameters()).device
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    tokens = _first_tokens(tokenizer, prompt).long().to(device)[:, None]  # (T, 1)
    complete = tokenizer.stream(after=prompt)
    recent = tokens[-RECENT:, 0].tolist()
    state = None
    while length > 0:
        with torch.no_grad():
            logits, state = model(tokens, state)
        token = draw(logits[-1, 0].cpu(), recent, generator, temperature, top_k, top_p, repetition_penalty)
        recent = [*recent[1 - RECENT :], token]
        tokens = torch.tensor([[token]], device=device)
        piece = complete(token)[:length]
        length -= len(piece)
        if piece:
            yield piece


def draw(
    logits: Tensor,
    recent: list[int],
    generator: torch.Generator,
    temperature: float,
    top_k: int,
    top_p: float,
    repetition_penalty: float,
) -> int:
    """One token from logits (V,).

    Args:
        logits: unnormalised log-probabilities.
        recent: tokens that the repetition penalty makes less likely.
        generator: where chance comes from.
        temperature: the logits are divided by it; 0 takes the likeliest token.
        top_k: only the k likeliest tokens; 0 for all.
        top_p: only the likeliest tokens that together hold this probability.
        repetition_penalty: logits of recent tokens are divided by it if positive, else multiplied.

    Reference:
        top-p: Holtzman et al. 2019, arXiv:1904.09751; penalty: Keskar et al. 2019, arXiv:1909.05858.
    """
    logits = logits.double()  # and so a copy; in single precision a tiny temperature or top_p is 0
    if repetition_penalty != 1 and recent:
        seen = torch.tensor(sorted(set(recent)))
        found = logits[seen]
        logits[seen] = torch.where(found > 0, found / repetition_penalty, found * repetition_penalty)
    if temperature == 0:
        return int(logits.argmax())
    probabilities, tokens = probable(logits[None], temperature, top_k or None, top_p)
    return int(tokens[0, torch.multinomial(probabilities[0], 1, generator=generator)])


def _first_tokens(tokenizer: Tokenizer, prompt: str) -> Tensor:
    if prompt:
        return tokenizer.encode(prompt)
    try:
        return tokenizer.encode("\n")
    except ValueError:  # a corpus without a line break
        return torch.zeros(1, dtype=torch.int32)
