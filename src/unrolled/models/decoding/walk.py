"""One sequence a row, token by token: greedy search and sampling."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...core import InputError, Tree, map_tree
from .hypothesis import Hypothesis, Step, limits


def greedy(step: Step, state: Tree, begin: Tensor, **options: Any) -> list[Hypothesis]:
    """The likeliest token at each step, until the end.

    Args:
        step: ``step(tokens (N,), state) -> (log-scores (N, V), state)``, and maybe the attention (N, S) as a third.
        state: the state before the first step, any tree of tensors (B, ...).
        begin: the first token of each row (B,).
        options: of :func:`walk`: ``end``, ``max_length``, ``forbidden``, ``no_repeat_ngram``.

    Returns:
        One hypothesis a row; its score is the sum of the log-scores of its tokens and its end.

    Raises:
        InputError, InputTypeError: an option is not as it should be.

    Example:
        >>> import torch
        >>> table = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]).log()  # a Markov chain
        >>> found = greedy(lambda tokens, state: (table[tokens], state), (), torch.tensor([0, 2]), end=0, max_length=9)
        >>> [hypothesis.tokens for hypothesis in found]
        [(1, 2), ()]
    """
    return _collect(walk(step, state, begin, likeliest, **options), len(begin), options["end"])


def sample(
    step: Step,
    state: Tree,
    begin: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    **options: Any,
) -> list[Hypothesis]:
    """A token drawn at each step, until the end.

    Args:
        step: as of :func:`greedy`.
        state: as of :func:`greedy`.
        begin: as of :func:`greedy`.
        temperature: log-scores are divided by it before they are made probabilities; below 1 likely tokens become
            likelier.
        top_k: draw among so many likeliest tokens only.
        top_p: draw among the fewest likeliest tokens only whose probabilities together reach this number.
        seed: of the draws; by default they go on with torch's own.
        options: as of :func:`greedy`.

    Returns:
        One hypothesis a row; its score is as of :func:`greedy`: the model's, whatever the temperature.

    Raises:
        InputError, InputTypeError: an option is not as it should be.

    Reference:
        top_p: Holtzman et al. 2020, arXiv:1904.09751; top_k: Fan et al. 2018, arXiv:1805.04833.
    """
    draw = drawing(begin.device, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return _collect(walk(step, state, begin, draw, **options), len(begin), options["end"])


def drawing(
    device: torch.device,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Callable[[Tensor], Tensor]:
    """The function that draws a token of each row of log-scores (N, V); the options are those of :func:`sample`."""
    if not 0 < temperature < float("inf"):
        raise InputError(f"temperature: expected a number above 0, got {temperature!r}. For no draws use greedy.")
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise InputError(f"top_k: expected a whole number of at least 1, got {top_k!r}.")
    if top_p is not None and not 0 < top_p <= 1:
        raise InputError(f"top_p: expected a number above 0 and at most 1, got {top_p!r}.")
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)

    def draw(scores: Tensor) -> Tensor:
        probabilities, tokens = probable(scores, temperature, top_k, top_p)
        return tokens.gather(1, torch.multinomial(probabilities, 1, generator=generator)).squeeze(1)

    return draw


def probable(scores: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> tuple[Tensor, Tensor]:
    """What is drawn from, likeliest first: probabilities (N, K), which need not sum to 1, and their tokens (N, K).

    Args:
        scores: log-scores or logits (N, V).
        temperature: above 0; the options are those of :func:`sample`.
        top_k: K; None: V.
        top_p: None is 1.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    numbers = torch.finfo(scores.dtype)
    temperature = min(max(temperature, numbers.tiny), numbers.max)  # of another 0 or infinity would come, and then NaN
    scores, tokens = scores.sort(dim=1, descending=True, stable=True)
    scores, tokens = scores[:, :top_k], tokens[:, :top_k]
    probabilities = ((scores - scores[:, :1]) / temperature).softmax(1)
    if top_p is not None:
        kept = probabilities.cumsum(1) - probabilities < top_p  # what the likelier ones hold
        kept[:, 0] = True
        probabilities = probabilities.masked_fill(~kept, 0)
    return probabilities, tokens


def likeliest(scores: Tensor) -> Tensor:
    """The token of the highest score of each row (N, V)."""
    return scores.argmax(1)


@torch.no_grad()
def walk(
    step: Step,
    state: Tree,
    begin: Tensor,
    choose: Callable[[Tensor], Tensor],
    *,
    end: int,
    max_length: int | Tensor,
    forbidden: Iterable[int] = (),
    no_repeat_ngram: int = 0,
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Token by token as they come: of each step the rows that are not over, their tokens, log-scores and attention.

    A row leaves the batch once it is over, so that no step is made for it.

    Args:
        step: as of :func:`greedy`.
        state: as of :func:`greedy`.
        begin: as of :func:`greedy`.
        choose: a function from log-scores (N, V) to tokens (N,).
        end: the token after which a row is over.
        max_length: the most steps of a row, that of the end among them; one number, or one for each row (B,).
        forbidden: tokens that never come, as padding.
        no_repeat_ngram: n: no run of n tokens comes twice in a row; 0: they may.

    Raises:
        InputError, InputTypeError: an option is not as above, or nothing may come in a row that is not over.
    """
    known = limits(begin, end=end, max_length=max_length, forbidden=forbidden, no_repeat_ngram=no_repeat_ngram)
    rows, tokens, history = torch.arange(len(begin), device=begin.device), begin, begin.new_empty(len(begin), 0)
    while len(rows):
        scores, state, *attention = step(tokens, state)
        allowed = known.allowed(scores, history)
        if not (allowed.amax(1) > -torch.inf).all():
            raise InputError(
                "step: expected in every row a token that may come, with a log-score above minus infinity, "
                f"got none at step {history.shape[1] + 1}; forbid less, or give the end a chance."
            )
        tokens = choose(allowed)
        history = torch.cat([history, tokens.unsqueeze(1)], 1)
        yield rows, tokens, scores.gather(1, tokens.unsqueeze(1)).squeeze(1), attention[0] if attention else None
        going = ((tokens != end) & (history.shape[1] < known.lengths[rows])).nonzero().squeeze(1)
        if len(going) < len(rows):
            rows, tokens, history = rows[going], tokens[going], history[going]
            state = map_tree(lambda part: part[going], state)  # noqa: B023


def _collect(steps: Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]], count: int, end: int) -> list[Hypothesis]:
    """What was walked, a hypothesis a row."""
    tokens: list[list[int]] = [[] for _ in range(count)]
    looks: list[list[Tensor]] = [[] for _ in range(count)]
    sums, ended = [0.0] * count, [False] * count
    for rows, chosen, scores, attention in steps:
        for i, (row, token, score) in enumerate(zip(rows.tolist(), chosen.tolist(), scores.tolist(), strict=True)):
            sums[row] += score
            if attention is not None:
                looks[row].append(attention[i])
            if token == end:
                ended[row] = True
            else:
                tokens[row].append(token)
    found = zip(tokens, sums, looks, ended, strict=True)
    return [Hypothesis(tuple(t), s, torch.stack(look)[: len(t)] if look else None, e) for t, s, look, e in found]
