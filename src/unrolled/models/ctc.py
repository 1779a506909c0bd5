"""CTC: symbols of a sequence of frames that are many more than they, without being told which frame is which symbol."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import InputError, InputTypeError, Tree, at_least_1
from ..layers import Stack
from ..layers.linear import Linear
from .ctc_loss import ctc_loss
from .dropout import Dropout
from .inputs import embedded
from .subsampling import join_frames, joined_lengths


class CTCState(NamedTuple):
    """Where a stream stands: the layers' state, and the frames (W, B, F) that wait for others to be joined with."""

    layers: Tree
    waiting: Tensor


class CTC(nn.Module):
    """Frames in, log-probabilities of symbols out, trained by the sum over all alignments of symbols to frames.

    z(t) = (x(kt), ..., x(kt + k - 1)) joins k neighbouring frames; h(t) is from layers of any cell over z;
    y(t) = log softmax(V h(t) + c) over the symbols and the blank. A path has one of these for each t; its symbols are
    what is left when equal neighbours are made one and then blanks are taken out. p(symbols | x) is the sum of the
    probabilities of all their paths, and the loss is its negative logarithm.

    Args:
        input_size: features F of a frame.
        cell: a factory ``(input_size) -> cell``.
        output_size: symbols V, with the blank, which is number 0.
        num_layers: recurrent layers.
        bidirectional: run each layer in both directions; for a stream it must be False.
        subsampling: k. The frames are joined before the first layer, so that every layer has 1/k of the steps to run,
            and a stream waits for k - 1 frames at most.
        dropout: probability of zeroing a feature of the joined frames, between layers, and before the output.
        residual: add a layer's input to its output where the sizes allow it.
        backend: as in :func:`unrolled.unroll`.

    Shape:
        features (T, B, F), log-probabilities (T', B, V) with T' = ceil(T / k), in float32 at least; targets (B, U).
        ``feature_size`` is the number of features of h(t).

    Raises:
        InputError: a size or an option is not as above.

    Reference:
        Graves et al. 2006, doi:10.1145/1143844.1143891; joined frames: Sak et al. 2015, arXiv:1507.06947.

    Example:
        >>> import torch
        >>> from unrolled.cells import LSTM
        >>> model = CTC(13, lambda size: LSTM(size, 16), 28, num_layers=2)
        >>> x, lengths = torch.randn(50, 3, 13), torch.tensor([50, 41, 7])
        >>> log_probabilities, frames = model(x, lengths)
        >>> log_probabilities.shape, frames.tolist()
        (torch.Size([25, 3, 28]), [25, 21, 4])
        >>> targets = torch.tensor([[5, 2, 2, 9], [1, 3, 1, 0], [7, 0, 0, 0]])
        >>> loss = model.loss(x, lengths, targets, torch.tensor([4, 3, 1]))
    """

    def __init__(
        self,
        input_size: int,
        cell: Callable[[int], nn.Module],
        output_size: int,
        *,
        num_layers: int = 3,
        bidirectional: bool = True,
        subsampling: int = 2,
        dropout: float = 0.0,
        residual: bool = False,
        backend: str = "auto",
    ):
        super().__init__()
        self.input_size = at_least_1(input_size, "input_size")
        self.subsampling = at_least_1(subsampling, "subsampling")
        self.bidirectional = bidirectional
        if at_least_1(output_size, "output_size") < 2:
            raise InputError(f"output_size: expected at least 2, the blank and a symbol, got {output_size}.")
        self.layers = Stack(
            cell,
            self.input_size * self.subsampling,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            residual=residual,
            backend=backend,
        )
        assert self.layers.output_size is not None  # known of a stack that a factory made
        self.dropout = Dropout(dropout)
        self.feature_size = self.layers.output_size
        self.output = Linear(self.feature_size, output_size)

    def forward(self, features: Tensor, lengths: Any = None, state: Tree | None = None) -> tuple[Tensor, Tensor]:
        """The log-probabilities (T', B, V), and how many of them are valid in each row (B,).

        Args:
            features: frames; what stands in their padding changes nothing.
            lengths: valid frames of each row (B,), 0 allowed; by default all.
            state: the layers' state before the first frame; by default their initial state.

        Raises:
            InputError, InputTypeError: an argument is not as above.
        """
        _check_tensor(features)
        if features.dim() != 3 or features.shape[-1] != self.input_size:
            raise InputError(f"features: expected (T, B, F) with F = {self.input_size}, got {tuple(features.shape)}.")
        steps, batch_size = features.shape[:2]
        read, valid = embedded(None, features, lengths=lengths)
        counts = torch.full((batch_size,), steps, device=read.device) if valid is None else valid.sum(0)
        made, _ = self._run(join_frames(read, self.subsampling), state, self.output_lengths(counts))
        return made, self.output_lengths(counts)

    def output_lengths(self, lengths: Any) -> Tensor:
        """How many log-probabilities so many frames (B,) give: ceil(length / subsampling)."""
        return joined_lengths(torch.as_tensor(lengths), self.subsampling)

    def loss(self, features: Tensor, lengths: Any, targets: Tensor, target_lengths: Any) -> Tensor:
        """The mean nats of a symbol: -log p(targets | features) summed over the rows, by the symbols of all rows.

        A batch without any symbol is divided by 1.

        Args:
            features: frames; what stands in their padding changes nothing.
            lengths: valid frames of each row (B,), 0 allowed; None: all.
            targets: symbols (B, U) from 1 to V - 1; what stands in their padding changes nothing.
            target_lengths: symbols of each row (B,), 0 allowed; None: all.

        Raises:
            InputError, InputTypeError: a row has fewer frames than its symbols need (see :func:`needed_frames`), or a
                number that is no symbol; or an argument is not as above.
        """
        made, frames = self(features, lengths)
        return ctc_loss(made, frames, targets, target_lengths)

    def start(self, batch_size: int) -> CTCState:
        """The state before the first frame of a stream.

        Raises:
            InputError: the layers run in both directions.
        """
        if self.bidirectional:
            raise InputError(
                "start: expected layers that run forward in time, got bidirectional=True; those need all frames. "
                "Make the model with bidirectional=False to run it on a stream."
            )
        return CTCState(
            self.layers.initial_state(batch_size), self.output.weight.new_zeros(0, batch_size, self.input_size)
        )

    def chunk(self, features: Tensor, state: CTCState) -> tuple[Tensor, CTCState]:
        """The next frames of a stream (K, B, F), any K: the log-probabilities that can be told by now, and the state.

        Frames that are not enough to be joined wait in the state. Call ``eval()`` first.
        """
        _check_tensor(features)
        expected = state.waiting.shape[1:]
        if features.dim() != 3 or features.shape[1:] != expected:
            raise InputError(
                f"features: expected (K, B, F) = (K, {expected[0]}, {expected[1]}), got {tuple(features.shape)}."
            )
        frames = torch.cat([state.waiting, features])
        ready = len(frames) // self.subsampling * self.subsampling
        made, layers = self._run(join_frames(frames[:ready], self.subsampling), state.layers)
        return made, CTCState(layers, frames[ready:])

    def finish(self, state: CTCState) -> Tensor:
        """The log-probabilities (0 or 1, B, V) of the frames that still wait when a stream is over."""
        return self._run(join_frames(state.waiting, self.subsampling), state.layers)[0]

    def _run(self, joined: Tensor, state: Tree | None, lengths: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Log-probabilities of joined frames, and the layers' state after them."""
        if len(joined):
            hidden, state = self.layers(self.dropout(joined), state, lengths=lengths)
        else:
            hidden = joined.new_zeros(0, joined.shape[1], self.feature_size)
        scores = self.output(self.dropout(hidden))
        return F.log_softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32)), state

    def extra_repr(self) -> str:
        """The options that the layers do not show."""
        return f"subsampling={self.subsampling}"


def _check_tensor(features: Any) -> None:
    if not isinstance(features, Tensor):
        raise InputTypeError(f"features: expected a tensor, got {type(features).__name__}.")
