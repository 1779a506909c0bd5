"""The memory of an mLSTM over whole pieces of a sequence."""

from typing import Any

import torch
from torch import Tensor

from ..core import InputError, at_least_1, checked_flags, select, valid_steps

LEAST = 1e-6  # what the weights of a read are divided by is at least this
NEVER = -torch.inf  # log 0: of what is not in the memory


def mlstm_chunkwise(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    log_f: Tensor,
    state: tuple[Tensor, Tensor, Tensor],
    *,
    chunk_size: int = 64,
    lengths: Any = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """What is read from the matrix memory of an mLSTM at each of T steps, in pieces of many steps.

    With S(t, j) = log f(j+1) + ... + log f(t), and (C, n, m) the state before the piece, S(t) the sum from its start:

    m(t) = max(S(t) + m, max over j ≤ t of S(t, j) + max(i(j), 0))
    w(t, j) = exp(S(t, j) + i(j) - m(t)) (q(t) · k(j)),  w(t) = exp(S(t) + m - m(t))
    read(t) = (w(t) C q(t) + sum over j ≤ t of w(t, j) v(j)) / max(|w(t) n · q(t) + sum of w(t, j)|, exp(-m(t)))

    That is the equation of :class:`MLSTM` with its memory written out as the sum that it is. It is faster than T steps
    because a step reads and writes a matrix of D x D numbers a head for a few operations with each, while here these
    matrices are touched once a piece, and nearly all is in products of matrices, with all steps of a piece at once.
    The sums S are added up anew for each pair, not taken as differences of sums from the start: so gates of -1e4 cost
    no digits.

    Args:
        q: queries.
        k: keys, divided already.
        v: values.
        i: logarithms of the input gates.
        log_f: logarithms of the forget gates.
        state: (C, n, m), the memory before the first step.
        chunk_size: L, steps at a time: there are matrices of L x L numbers for each row and head.
        lengths: valid steps of each row.
        mask: True = valid: elsewhere the memory is held and what is read is 0.
        reset: True = before this step the memory is emptied.

    Shape:
        q, k, v and what is read (T, B, K, D); i and log_f (T, B, K); C (B, K, D, D), n (B, K, D), m (B, K);
        lengths (B,); mask and reset (T, B).

    Returns:
        What is read, and the memory after each row's last valid step.

    Raises:
        InputError, InputTypeError: an argument is not as above.

    Reference:
        Beck et al. 2024, arXiv:2405.04517, appendix A.3, for one piece; in pieces: Yang et al. 2024, Gated linear
        attention, arXiv:2312.06635.
    """
    chunk_size = at_least_1(chunk_size, "chunk_size")
    if q.dim() != 4:
        raise InputError(f"q: expected (T, B, K, D), got {tuple(q.shape)}.")
    if not len(q):
        raise InputError("q: expected at least one time step, got T = 0.")
    steps, rows = q.shape[:2]
    valid = valid_steps(steps, rows, lengths=lengths, mask=mask, device=q.device)
    if reset is not None:
        reset = checked_flags(reset, "reset", steps, rows, q.device)
        reset = reset if valid is None else reset & valid  # a step that is masked has none
    if valid is not None:
        q, k, v, i = (select(valid, part, torch.zeros_like(part)) for part in (q, k, v, i))
        log_f = select(valid, log_f, torch.zeros_like(log_f))
    begun = state
    reads = []
    for start in range(0, steps, chunk_size):
        part = slice(start, start + chunk_size)
        of_part = [flags if flags is None else flags[part] for flags in (valid, reset)]
        read, state = _chunk([a[part].movedim(0, 2) for a in (q, k, v, i, log_f)], state, *of_part)
        reads.append(read.movedim(2, 0))
    outputs = torch.cat(reads)
    if valid is not None:
        outputs = select(valid, outputs, torch.zeros_like(outputs))
        state = select(valid.any(0), tuple(state), tuple(begun))  # max(m, 0) is m only after a step
    return outputs, state


def _chunk(
    x: list[Tensor], state: tuple[Tensor, Tensor, Tensor], valid: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """One piece; q, k, v (B, K, L, D), i and log f (B, K, L), flags (L, B)."""
    q, k, v, i, log_f = x
    c, n, m = state
    between, since = _sums(log_f, reset)
    entered = i.clamp(min=0)
    if reset is not None:  # an emptied memory has m = 0
        entered = torch.where(_by_head(reset), torch.maximum(entered, log_f), entered)
    if valid is not None:
        i = i.masked_fill(~_by_head(valid), NEVER)
    of_state = since + m.unsqueeze(-1)
    m = torch.maximum(of_state, (between + entered.unsqueeze(-2)).amax(-1))  # (B, K, L)

    kept = torch.exp(of_state - m)
    decay = torch.exp(between + (i.unsqueeze(-2) - m.unsqueeze(-1)))  # (B, K, L, L)
    weights = (q @ k.transpose(-1, -2)) * decay
    asked = kept.unsqueeze(-1) * q
    read = asked @ c.transpose(-1, -2) + weights @ v
    total = (asked @ n.unsqueeze(-1)).squeeze(-1) + weights.sum(-1)
    read = read / torch.maximum(total.abs(), torch.exp(-m).clamp(min=LEAST)).unsqueeze(-1)

    last = decay[..., -1, :].unsqueeze(-1) * k  # the keys with the weights that they have at the end
    c = kept[..., -1, None, None] * c + v.transpose(-1, -2) @ last
    n = kept[..., -1, None] * n + last.sum(-2)
    return read, (c, n, m[..., -1])


def _sums(log_f: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """S(t, j), (B, K, L, L), and S(t), (B, K, L); -inf where a memory does not reach: j > t, and over a reset."""
    length = log_f.shape[-1]
    ones = torch.ones(length, length, dtype=torch.bool, device=log_f.device)
    after = log_f.unsqueeze(-1).masked_fill(ones.triu(), 0)  # log f(t) in the columns j < t
    reached, whole = ones.tril(), None
    if reset is not None:
        episode = reset.cumsum(0).transpose(0, 1)  # (B, L)
        reached = (reached & (episode.unsqueeze(-1) == episode.unsqueeze(-2))).unsqueeze(1)
        whole = (episode == 0).unsqueeze(1)
    between = after.cumsum(-2).masked_fill(~reached, NEVER)
    since = log_f.cumsum(-1)
    return between, since if whole is None else since.masked_fill(~whole, NEVER)


def _by_head(flags: Tensor) -> Tensor:
    """(L, B) as (B, 1, L)."""
    return flags.transpose(0, 1).unsqueeze(1)
