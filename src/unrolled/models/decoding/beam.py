"""Beam search: the likeliest sequences of every row of a batch, all rows and beams in one batch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...core import InputError, Tree, at_least_1, map_tree
from .hypothesis import Hypothesis, Step, limits


@torch.no_grad()
def beam_search(
    step: Step,
    state: Tree,
    begin: Tensor,
    *,
    end: int,
    max_length: int | Tensor,
    beam_size: int = 5,
    n_best: int = 1,
    length_penalty: float = 0.0,
    no_repeat_ngram: int = 0,
    forbidden: Iterable[int] = (),
) -> list[list[Hypothesis]]:
    """The likeliest sequences of each row that a beam of K finds, best first.

    At each step every live sequence of a row is continued by every token, and of all these the best K by the sum of
    log-scores are looked at: those that end are finished, the best K that do not end live on. A row is over when no
    live one could come among its ``n_best`` finished ones any more, or at its greatest length. (To stop once K are
    finished would be quicker and wrong: of a model that is sure, the second best is often a sequence cut short.)

    score(Y) = sum_t log p(y(t) | y(1) ... y(t-1)) / ((5 + n) / 6)^a, with n the number of its tokens, the end among
    them, and a the length penalty. With a = 0 that is the log-probability, which favours short sequences; near 1 it
    is almost the mean over tokens. What was cut at the greatest length comes after all that ended.

    Args:
        step: ``step(tokens (N,), state) -> (log-scores (N, V), state)``, and maybe the attention (N, S) as a third.
            Log-scores are at most 0. N is a number of rows times K: the K beams of a row stand side by side.
        state: the state before the first step, any tree of tensors (B, ...).
        begin: the first token of each row (B,).
        end: the token that ends a sequence.
        max_length: the most steps of a row, that of the end among them; one number, or one for each row (B,).
        beam_size: K; 1, without a length penalty, is greedy search.
        n_best: how many hypotheses of a row to return, at most K. Fewer come where there are no more.
        length_penalty: a.
        no_repeat_ngram: n: no run of n tokens comes twice in a sequence; 0: they may.
        forbidden: tokens that never come, as padding.

    Returns:
        Of each row up to ``n_best`` hypotheses; none where every sequence has a log-score of minus infinity.

    Raises:
        InputError, InputTypeError: an option is not as above.

    Reference:
        Wu et al. 2016, arXiv:1609.08144 (length penalty); Paulus et al. 2017, arXiv:1705.04304 (no n-gram twice).

    Example:
        >>> import torch
        >>> table = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]).log()  # a Markov chain
        >>> chain = lambda tokens, state: (table[tokens], state)
        >>> (best, second), = beam_search(chain, (), torch.tensor([2]), end=0, max_length=9, beam_size=3, n_best=2)
        >>> best.tokens, second.tokens
        ((), (1, 2))
    """
    beam_size, n_best = at_least_1(beam_size, "beam_size"), at_least_1(n_best, "n_best")
    if n_best > beam_size:
        raise InputError(f"n_best: expected at most beam_size = {beam_size}, got {n_best}.")
    if not isinstance(length_penalty, int | float) or not math.isfinite(length_penalty):
        raise InputError(f"length_penalty: expected a finite number, got {length_penalty!r}.")
    known = limits(begin, end=end, max_length=max_length, forbidden=forbidden, no_repeat_ngram=no_repeat_ngram)
    lengths = known.lengths.tolist()
    pools = [_Pool(most, n_best, length_penalty) for most in lengths]
    rows = torch.arange(len(begin), device=begin.device)  # that are not over
    beams = rows.repeat_interleave(beam_size)
    tokens, state = begin[beams], map_tree(lambda part: part[beams], state)
    history, looks = begin.new_empty(len(tokens), 0), None
    sums = torch.full((len(rows), beam_size), -torch.inf, device=begin.device)  # of log-scores
    sums[:, 0] = 0  # before the first step all beams of a row are the same
    while len(rows):
        scores, state, *attention = step(tokens, state)
        if attention:
            look = attention[0].unsqueeze(1)
            looks = look if looks is None else torch.cat([looks, look], 1)
        allowed = known.allowed(scores, history).view(len(rows), beam_size, -1)
        totals, beams, following = _best(sums.unsqueeze(-1) + allowed, 2 * beam_size)
        if totals[:, :1].isnan().any():  # it would count as the best
            raise InputError("step: expected log-scores that are numbers, got NaN.")
        ends = following == end
        live = totals.masked_fill(ends, -torch.inf)
        first = torch.arange(len(rows), device=begin.device).unsqueeze(1) * beam_size
        parents = first + beams
        _finish(pools, rows, history, looks, *(part[:, :beam_size] for part in (parents, following, totals, ends)))
        sums, order = live.topk(beam_size, 1)
        parents, tokens = parents.gather(1, order), following.gather(1, order)
        done = [pools[row].is_over(history.shape[1] + 1, best) for row, best in _pairs(rows, sums[:, 0])]
        going = (~torch.tensor(done, device=begin.device)).nonzero().squeeze(1)
        rows, sums, tokens, parents = rows[going], sums[going], tokens[going].flatten(), parents[going].flatten()
        state = map_tree(lambda part: part[parents], state)  # noqa: B023
        history = torch.cat([history[parents], tokens.unsqueeze(1)], 1)
        looks = None if looks is None else looks[parents]
    return [pool.found for pool in pools]


def _pairs(rows: Tensor, values: Tensor) -> list[tuple[int, float]]:
    return list(zip(rows.tolist(), values.tolist(), strict=True))


def _best(totals: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The greatest of each row of (R, K, V), with the beam and the token of each, (R, count) or all that there are."""
    size = totals.shape[-1]
    values, places = totals.flatten(1).topk(min(count, totals.shape[1] * size), 1)
    return values, places // size, places % size


def _finish(
    pools: list["_Pool"],
    rows: Tensor,
    history: Tensor,
    looks: Tensor | None,
    parents: Tensor,
    following: Tensor,
    totals: Tensor,
    ends: Tensor,
) -> None:
    """Keep the sequences that end at this step, or are cut at it, where they are among the best of their rows."""
    steps = history.shape[1] + 1
    of_rows = zip(rows.tolist(), ends.tolist(), totals.tolist(), strict=True)
    for i, (row, ends_here, totals_here) in enumerate(of_rows):
        pool = pools[row]
        cut = steps == pool.most
        for rank in range(totals.shape[1]):
            if totals_here[rank] == -math.inf or not (ends_here[rank] or cut):
                continue
            parent = parents[i, rank]
            found = history[parent].tolist() + ([] if ends_here[rank] else [int(following[i, rank])])
            look = None if looks is None else looks[parent, : len(found)].clone()
            score = totals_here[rank] / pool.penalty(steps)
            pool.add(Hypothesis(tuple(found), score, look, ends_here[rank]))


@dataclass
class _Pool:
    """The best that is found of one row; what ended comes before what was cut."""

    most: int  # steps
    n_best: int
    length_penalty: float
    found: list[Hypothesis] = field(default_factory=list)

    def penalty(self, steps: int) -> float:
        """What the sum of log-scores of so many tokens is divided by."""
        return float(((5 + steps) / 6) ** self.length_penalty)

    def is_over(self, steps: int, live: float) -> bool:
        """Whether no more steps are to be made after so many, with the greatest sum of what lives."""
        if steps == self.most or live == -math.inf:
            return True
        bound = max(live / self.penalty(steps + 1), live / self.penalty(self.most))  # sums only fall
        return len(self.found) >= self.n_best and bound <= self.found[-1].score

    def add(self, hypothesis: Hypothesis) -> None:
        """Keep it if it is among the best."""
        found = [*self.found, hypothesis]
        self.found = sorted(found, key=lambda one: (one.ended, one.score), reverse=True)[: self.n_best]
