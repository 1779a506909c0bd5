"""``RNN``, ``LSTM`` and ``GRU``: torch's classes, their sequences run by generated kernels.

Each says what it takes; what all of them share is in :mod:`.base`, what a time step computes in their cell.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from .. import cells
from ..cells._shared import NAMED
from .base import Layers, first_size

Nonlinearity = str | Callable[[Tensor], Tensor]
_TORCHS = ("tanh", "relu")


class RNN(Layers, nn.RNN):
    """torch.nn.RNN, and what it does not have: layers of :class:`unrolled.cells.RNN`.

    h(t) = σ(W_ih x(t) + b_ih + W_hh h(t-1) + b_hh)

    Args:
        input_size: features I of the input.
        hidden_size: features H of the state; a list of them for layers of different sizes, whose states then are a
            tuple with one entry a layer, each of the form that a module of one layer has.
        num_layers: number of layers L.
        nonlinearity: σ; besides torch's ``"tanh"`` and ``"relu"`` any name that :class:`unrolled.cells.RNN` knows,
            or any function of a tensor.
        bias: whether there are b_ih and b_hh.
        batch_first: input, output, mask, reset and dt are (B, T, ...). States never change.
        dropout: probability of zeroing an output between two layers, in training.
        bidirectional: run each layer in both directions (D = 2), their outputs side by side.
        device, dtype: of the parameters.
        proj_size: features of what is fed back and put out, where it is less than H.
        layer_norm, time_decay, learn_initial_state: as in :class:`unrolled.cells.RNN`.
        recurrent_dropout, zoneout, weight_drop: likewise; in training only.
        return_all_states: a call returns a third thing, the states after every step.

    Shape:
        input (T, B, I), (B, T, I) with ``batch_first``, (T, I), or a PackedSequence; state (L D, B, H); outputs
        (T, B, D H); with ``proj_size`` P in place of H. lengths (B,); mask, reset and dt (T, B).

    Raises:
        Exception: what torch.nn.RNN raises.

    Reference:
        Elman 1990, doi:10.1207/s15516709cog1402_1.

    Example:
        >>> import torch
        >>> layer = RNN(3, 5, num_layers=2, batch_first=True)
        >>> layer.load_state_dict(torch.nn.RNN(3, 5, num_layers=2).state_dict())
        <All keys matched successfully>
        >>> outputs, state = layer(torch.randn(4, 7, 3), lengths=torch.tensor([7, 0, 2, 5]))
        >>> outputs.shape, state.shape
        (torch.Size([4, 7, 5]), torch.Size([2, 4, 5]))
    """

    _cell: ClassVar[Any] = cells.RNN

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: Nonlinearity = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
        return_all_states: bool = False,
    ):
        size, num_layers, sizes = first_size(hidden_size, num_layers)
        is_torchs = nonlinearity in _TORCHS or not (callable(nonlinearity) or nonlinearity in NAMED)
        super().__init__(
            input_size,
            size,
            num_layers,
            nonlinearity if is_torchs else "tanh",
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self._extend(
            sizes,
            return_all_states,
            nonlinearity="tanh" if is_torchs else nonlinearity,
            proj_size=proj_size,
            layer_norm=layer_norm,
            time_decay=time_decay,
            learn_initial_state=learn_initial_state,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )

    def _cell_options(self) -> dict[str, Any]:
        return {"nonlinearity": "relu" if self.mode == "RNN_RELU" else "tanh", **super()._cell_options()}


class LSTM(Layers, nn.LSTM):
    """torch.nn.LSTM, and what it does not have: layers of :class:`unrolled.cells.LSTM`.

    i, f, g, o = W_ih x(t) + b_ih + W_hh h(t-1) + b_hh
    c(t) = sigmoid(f) c(t-1) + sigmoid(i) tanh(g)
    h(t) = sigmoid(o) tanh(c(t)), or W_hr of it with ``proj_size``

    Args:
        input_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in :class:`RNN`.
        hidden_size: features H of the memory; a list of them as in :class:`RNN`.
        proj_size: features P of h, where it is less than H.
        nonlinearity, gate_nonlinearity: in place of tanh and of sigmoid.
        peephole, coupled, forget_gate, forget_bias, layer_norm, time_decay, learn_initial_state: as in
            :class:`unrolled.cells.LSTM`.
        recurrent_dropout, zoneout, weight_drop: likewise; in training only.
        return_all_states: a call returns a third thing, the states after every step.

    Shape:
        As :class:`RNN`; the state is the pair h (L D, B, P or H), c (L D, B, H).

    Raises:
        Exception: what torch.nn.LSTM raises.

    Reference:
        Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.

    Example:
        >>> import torch
        >>> layer = LSTM(3, [8, 5], peephole=True)
        >>> reset = torch.zeros(7, 4, dtype=torch.bool)
        >>> reset[3, 1] = True  # here an episode begins
        >>> outputs, (first, last) = layer(torch.randn(7, 4, 3), reset=reset)
        >>> outputs.shape, last[0].shape
        (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]))
    """

    _cell: ClassVar[Any] = cells.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        peephole: bool = False,
        coupled: bool = False,
        forget_gate: bool = True,
        forget_bias: float | None = None,
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
        weight_drop: float = 0.0,
        return_all_states: bool = False,
    ):
        size, num_layers, sizes = first_size(hidden_size, num_layers)
        super().__init__(
            input_size,
            size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
        )
        self._extend(
            sizes,
            return_all_states,
            nonlinearity=nonlinearity,
            gate_nonlinearity=gate_nonlinearity,
            peephole=peephole,
            coupled=coupled,
            forget_gate=forget_gate,
            forget_bias=forget_bias,
            layer_norm=layer_norm,
            time_decay=time_decay,
            learn_initial_state=learn_initial_state,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )
        if forget_bias is not None:
            self.reset_parameters()  # torch's draws know nothing of it


class GRU(Layers, nn.GRU):
    """torch.nn.GRU, and what it does not have: layers of :class:`unrolled.cells.GRU`.

    r, z = sigmoid(W_i x(t) + b_i + W_h h(t-1) + b_h)
    n = tanh(W_in x(t) + b_in + r (W_hn h(t-1) + b_hn))
    h(t) = (1 - z) n + z h(t-1)

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            :class:`RNN`.
        proj_size: features of what is fed back and put out, where it is less than H.
        reset_after: whether r acts after the product, as in torch; otherwise on h(t-1) before it.
        nonlinearity, gate_nonlinearity: in place of tanh and of sigmoid.
        layer_norm, time_decay, learn_initial_state: as in :class:`unrolled.cells.GRU`.
        recurrent_dropout, zoneout, weight_drop: likewise; in training only.
        return_all_states: a call returns a third thing, the states after every step.

    Shape:
        As :class:`RNN`; with ``proj_size`` the state is the pair h (L D, B, P), memory (L D, B, H).

    Raises:
        Exception: what torch.nn.GRU raises.

    Reference:
        Cho et al. 2014, arXiv:1406.1078.

    Example:
        >>> import torch
        >>> outputs, state = GRU(3, 5, bidirectional=True)(torch.randn(7, 4, 3))
        >>> outputs.shape, state.shape
        (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]))
    """

    _cell: ClassVar[Any] = cells.GRU
    _stays_low: ClassVar[bool] = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        reset_after: bool = True,
        nonlinearity: Nonlinearity = "tanh",
        gate_nonlinearity: Nonlinearity = "sigmoid",
        layer_norm: bool = False,
        time_decay: bool = False,
        learn_initial_state: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        weight_drop: float = 0.0,
        return_all_states: bool = False,
    ):
        size, num_layers, sizes = first_size(hidden_size, num_layers)
        super().__init__(
            input_size, size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        self._extend(
            sizes,
            return_all_states,
            proj_size=proj_size,
            reset_after=reset_after,
            nonlinearity=nonlinearity,
            gate_nonlinearity=gate_nonlinearity,
            layer_norm=layer_norm,
            time_decay=time_decay,
            learn_initial_state=learn_initial_state,
            recurrent_dropout=recurrent_dropout,
            zoneout=zoneout,
            weight_drop=weight_drop,
        )
