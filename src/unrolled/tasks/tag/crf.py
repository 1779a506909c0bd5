"""A linear-chain conditional random field: the likelihood of a whole sequence of tags, and the likeliest one."""

import torch
from torch import Tensor, nn

from ...layers import unroll
from ..batches import valid_steps

FORBIDDEN = -1e4  # the score of a step that is not allowed, in decoding


class CRF(nn.Module):
    """Scores of tags that depend on the tag before.

        score(y | x) = start[y(1)] + end[y(T)] + sum over t of emission(t)[y(t)] + transition[y(t-1), y(t)]
        log p(y | x) = score(y | x) - log (sum over all y' of exp score(y' | x))

    Args:
        number: tags K.
        allowed: which tag may follow which, (K + 1, K + 1) of bool: row and column K are the sentence's border.
            None: any. Steps that are not allowed have probability zero, and are never decoded.
        backend: what runs the sum over all sequences, a recurrence itself, as in :func:`unrolled.unroll`.

    Shape:
        emissions (T, B, K), tags (T, B), lengths (B,).

    Reference:
        Lafferty, McCallum and Pereira 2001, Conditional random fields; after a recurrent network: Huang, Xu and Yu
        2015, arXiv:1508.01991.

    Example:
        >>> crf = CRF(3)
        >>> emissions, tags = torch.randn(5, 2, 3), torch.zeros(5, 2, dtype=torch.long)
        >>> crf.loss(emissions, tags, torch.tensor([5, 2])).shape
        torch.Size([2])
        >>> crf.decode(emissions, torch.tensor([5, 2])).shape
        torch.Size([5, 2])
    """

    def __init__(self, number: int, allowed: Tensor | None = None, backend: str = "auto"):
        super().__init__()
        self.transition = nn.Parameter(torch.zeros(number, number))
        self.start = nn.Parameter(torch.zeros(number))
        self.end = nn.Parameter(torch.zeros(number))
        self.backend = backend
        if allowed is None:
            allowed = torch.ones(number + 1, number + 1, dtype=torch.bool)
        self.register_buffer("allowed", allowed, persistent=False)
        self.allowed: Tensor

    def loss(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """-log p(y | x) of each sequence, (B,), in nats; of an empty one zero."""
        valid = valid_steps(emissions, lengths)[..., None]
        emissions = torch.where(valid, emissions, 0)  # NaN in the padding goes nowhere
        return self.log_total(emissions, lengths) - self.score(emissions, tags, lengths)

    def score(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """The score of a sequence of tags, (B,)."""
        valid = valid_steps(emissions, lengths)
        of_tags = emissions.gather(2, tags[..., None]).squeeze(2)
        of_steps = self.transition[tags[:-1], tags[1:]]
        ends = tags.gather(0, (lengths - 1).clamp(min=0)[None]).squeeze(0)
        borders = self.start[tags[0]] + self.end[ends]
        inner = torch.where(valid, of_tags, 0).sum(0) + torch.where(valid[1:], of_steps, 0).sum(0)
        return torch.where(lengths > 0, inner + borders, 0)

    def log_total(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The logarithm of the sum of exp(score) over all sequences of tags, (B,), by the forward algorithm.

        It is a recurrence like any other: the state is the sum over all sequences that end in each tag.
        """
        inside, start, end = self._masked()
        ways = inside.exp()
        tiny = torch.finfo(emissions.dtype).tiny

        def step(emission: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
            top = alpha.detach().amax(1, keepdim=True)
            alpha = ((alpha - top).exp() @ ways).clamp(min=tiny).log() + top + emission
            return alpha, alpha

        last = start + emissions[0]
        if len(emissions) > 1:
            rest = (lengths - 1).clamp(min=0)
            _, last = unroll(step, emissions[1:], last, lengths=rest, backend=self.backend)
        return torch.where(lengths > 0, torch.logsumexp(last + end, 1), 0)

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The likeliest sequence of tags of each row, (T, B); behind its end the tags mean nothing (Viterbi)."""
        return viterbi(emissions, lengths, *self._masked())

    def _masked(self) -> tuple[Tensor, Tensor, Tensor]:
        forbidden = ~self.allowed
        return (
            self.transition.masked_fill(forbidden[:-1, :-1], FORBIDDEN),
            self.start.masked_fill(forbidden[-1, :-1], FORBIDDEN),
            self.end.masked_fill(forbidden[:-1, -1], FORBIDDEN),
        )


@torch.no_grad()
def viterbi(emissions: Tensor, lengths: Tensor, transition: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The sequence of tags of the highest score, of every row at once.

    Args:
        emissions: (T, B, K).
        lengths: (B,).
        transition: from each tag (row) to each (column), (K, K).
        start: of each tag at the first step, (K,).
        end: of each tag at the last step, (K,).

    Returns:
        Tags (T, B); behind a row's end they mean nothing.

    Reference:
        Viterbi 1967, doi:10.1109/TIT.1967.1054010.
    """
    valid = valid_steps(emissions, lengths)
    best = start + emissions[0]
    stay = torch.arange(best.shape[1], device=best.device).expand_as(best)
    back = []  # of each step but the first: the best tag before each tag
    for emission, inside in zip(emissions[1:], valid[1:], strict=True):
        scores, before = (best[:, :, None] + transition).max(1)
        best = torch.where(inside[:, None], scores + emission, best)
        back.append(torch.where(inside[:, None], before, stay))
    tag = (best + end).argmax(1)
    tags = [tag]
    for before in reversed(back):
        tag = before.gather(1, tag[:, None]).squeeze(1)
        tags.append(tag)
    return torch.stack(tags[::-1])
