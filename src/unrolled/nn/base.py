"""What our RNN, LSTM and GRU share: torch's class around cells that are run over time.

The parameters, their names and draws, what is printed and what is said about a wrong argument are torch's own. Where
torch can do what is asked and a kernel cannot (another device, somebody's tracing), torch does it.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..cells._shared import check_sizes
from ..core import InputError, InputTypeError, Tree
from ..layers import Recurrent
from .arguments import NOTHING, Extras, Given, cast, read_input, read_states, write_states
from .bound import Bound, bound_of, is_tracing, keep, weights_in
from .packed import pack_like
from .sequence import run_layers


class Layers(nn.RNNBase):
    """The part of a layer that torch does not have; it stands before torch's class among the bases."""

    _cell: ClassVar[Any]  # the class of the cells
    _options: Mapping[str, Any] = {}  # of the cells, where they differ from torch's
    _sizes: Sequence[int] | None = None  # H of each layer, where they were given as a list
    _stays_low: ClassVar[bool] = True  # whether under autocast torch's results are of its dtype, or that of the state
    return_all_states = False

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002
        hx: Any = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        dt: Tensor | None = None,
        broadcast_state: bool = False,
    ) -> Any:
        """Run the sequence: torch's arguments and results, and by name what torch does not have.

        Args:
            input: (T, B, I), (B, T, I) with ``batch_first``, (T, I), or a PackedSequence.
            hx: the state before the first step in torch's form, (L D, B, H) or a pair of them.
            lengths: valid steps of each row, (B,), on any device, 0 allowed.
            mask: True = valid, (T, B); (B, T) with ``batch_first``; (T,) of input without a batch.
            reset: True = an episode begins here, from the initial state; in the shape of mask.
            dt: time since the row's step before, for ``time_decay``; in the shape of mask.
            broadcast_state: whether a state of batch 1 stands for every row.

        Returns:
            Outputs and last state in torch's form; with ``return_all_states`` also the states after every step, each
            tensor (L D, T, B, H), or (L D, B, T, H) with ``batch_first``.

        Raises:
            Exception: what torch raises, for what torch has.
            InputError: another argument is not as above; and as :class:`unrolled.Recurrent`.
        """
        extras = NOTHING
        if lengths is not None or mask is not None or reset is not None or dt is not None or broadcast_state:
            extras = Extras(lengths, mask, reset, dt, broadcast_state)
        is_torchs = extras is NOTHING and self.is_torchs()
        if is_torchs and _is_for_torch(input):
            return super().forward(input, hx)
        low = _autocast_dtype()
        bound = bound_of(self)
        everything = input, hx, bound.weights(self)
        given, state, weights = everything if low is None else cast(everything, low)
        if is_torchs and any(weight is None for weight in weights):
            return super().forward(input, hx)
        try:
            settled = self._settle(given, state, extras, bound, weights[0])
        except (InputError, InputTypeError):
            if not is_torchs:
                raise
            return super().forward(input, hx)  # which says it in its own words
        layers = bound.layers_with(weights, self.training)
        if low is None:
            return self._run(layers, settled)
        with torch.autocast("cpu", enabled=False):
            results = self._run(layers, settled)
        return results if self._stays_low else cast(results, _dtype_of(input if hx is None else hx))

    def _settle(self, given: Any, hx: Any, extras: Extras, bound: Bound, like: Tensor) -> Given:
        """The arguments in the form in which the cells are run, checked against a weight."""
        read = read_input(given, self.batch_first, extras)
        x = read.x
        if x.shape[-1] != self.input_size or not x.shape[0] or x.dtype != like.dtype or x.device != like.device:
            raise InputError(
                f"input: expected input_size = {self.input_size} features of at least one step, {like.dtype} on "
                f"{like.device}, got {tuple(x.shape)} as (T, B, I), {x.dtype} on {x.device}."
            )
        if (read.dt is not None) != bool(self._options.get("time_decay")):
            wanted = "None without time_decay=True" if read.dt is not None else "the time between steps, (T, B)"
            got = "None" if read.dt is None else f"a tensor {tuple(read.dt.shape)}"
            raise InputTypeError(f"dt: expected {wanted}, got {got}.")
        if read.dt is not None and (read.dt.shape != x.shape[:2] or not read.dt.is_floating_point()):
            got = f"{tuple(read.dt.shape)} of {read.dt.dtype}"
            raise InputError(f"dt: expected floats (T, B) = {tuple(x.shape[:2])}, got {got} as (T, B).")
        if hx is None:
            return read
        if self._sizes is None:
            return read._replace(states=read_states(hx, bound.cells, read, extras.broadcast_state))
        if not isinstance(hx, tuple | list) or len(hx) != self.num_layers:
            raise InputTypeError(f"hx: expected {self.num_layers} states, one a layer, got {type(hx).__name__}.")
        states: list[Tree] = []
        for one, layers in zip(hx, bound.layers, strict=True):
            states += read_states(one, [layer.cell for layer in layers], read, extras.broadcast_state)
        return read._replace(states=states)

    def _run(self, layers: list[list[Recurrent]], given: Given) -> Any:
        """The cells over time; the results in torch's form."""
        results = run_layers(layers, given, self.dropout if self.training else 0.0)
        outputs: Any = results.outputs
        if given.unpacked is not None:
            outputs = pack_like(outputs, given.unpacked)
        elif not given.is_batched:
            outputs = outputs.squeeze(1)
        elif self.batch_first:
            outputs = outputs.transpose(0, 1)
        ends = self._written(results.ends, given)
        if not self.return_all_states:
            return outputs, ends
        return outputs, ends, self._written(results.states, given, with_time=True)

    def _written(self, states: list[Tree], given: Given, with_time: bool = False) -> Tree:
        """States in torch's form; where the layers differ in size, one such form a layer."""
        swapped = with_time and self.batch_first
        if self._sizes is None:
            return write_states(states, given, with_time=with_time, batch_first=swapped)
        count = len(states) // self.num_layers
        layers = (states[k : k + count] for k in range(0, len(states), count))
        return tuple(write_states(layer, given, with_time=with_time, batch_first=swapped) for layer in layers)

    def make_cells(self) -> list[list[nn.Module]]:
        """The cells with parameters of their own, for each layer one a direction."""
        layers, width = [], self.input_size
        directions = 2 if self.bidirectional else 1
        for depth in range(self.num_layers):
            hidden_size = self.hidden_size if self._sizes is None else self._sizes[depth]
            layers.append([self._make_cell(width, hidden_size) for _ in range(directions)])
            width = (self.proj_size or hidden_size) * directions
        return layers

    def _make_cell(self, input_size: int, hidden_size: int) -> nn.Module:
        cell: nn.Module = self._cell(input_size, hidden_size, self.bias, **self._cell_options())
        return cell

    def _cell_options(self) -> dict[str, Any]:
        """Of the cells, besides the sizes and the bias."""
        return {"proj_size": self.proj_size, **self._options} if self.proj_size else dict(self._options)

    def name_of(self, name: str, layer: int, direction: int) -> str:
        """In this module the name of a cell's parameter."""
        return f"{name}_l{layer}{'_reverse' if direction else ''}"

    def is_torchs(self) -> bool:
        """Whether torch has all that this layer is."""
        return not self._options and self._sizes is None and not self.return_all_states

    def _extend(self, sizes: Sequence[int] | None, return_all_states: bool, **options: Any) -> None:
        """After torch's own construction: what torch does not have. Where torch has the same parameters they stay."""
        known = signature(self._cell).parameters
        self._options = {name: value for name, value in options.items() if value != known[name].default}
        self._sizes, self.return_all_states = sizes, return_all_states
        self.proj_size = self._options.get("proj_size", self.proj_size)
        if not self.is_torchs():
            self._add_parameters()
        keep(self)

    def _add_parameters(self) -> None:
        """Make the parameters those of the cells, where they are others."""
        like = next(self.parameters())
        cells = self.make_cells()
        named = [[(name, cell._parameters[own]) for own, name in names] for cell, names in weights_in(self, cells)]
        shapes = {name: parameter.shape for group in named for name, parameter in group}
        if shapes == {name: parameter.shape for name, parameter in self.named_parameters()}:
            return
        self._parameters.clear()
        self._all_weights = [[name for name, _ in group] for group in named]
        self._flat_weights_names = [name for group in named for name, _ in group]
        self._flat_weights = [None] * len(self._flat_weights_names)
        for group in named:
            for name, parameter in group:
                self.register_parameter(name, nn.Parameter(parameter.detach().to(like)))
        self._init_flat_weights()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as torch does; those that torch does not have as their cell does."""
        if self.is_torchs():
            super().reset_parameters()
            return
        bound = bound_of(self)
        for directions in bound.layers_with(bound.weights(self), self.training):
            for layer in directions:
                layer.cell.reset_parameters()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        keep(self)

    def _replicate_for_data_parallel(self) -> Any:
        replica = super()._replicate_for_data_parallel()
        replica._unrolled_cells = None  # its threads have weights of their own
        return replica

    def flatten_parameters(self) -> None:
        """As torch's: put the parameters side by side for a GPU's own kernels, where those run them."""
        if self.is_torchs():
            super().flatten_parameters()

    def extra_repr(self) -> str:
        """torch's, and the options that torch does not have."""
        own = [f"{name}={value!r}" for name, value in self._options.items() if name != "proj_size"]
        if self._sizes is not None:
            own.insert(0, f"hidden_size={list(self._sizes)}")
        if self.return_all_states:
            own.append("return_all_states=True")
        return ", ".join([super().extra_repr(), *own])


def first_size(hidden_size: Any, num_layers: int) -> tuple[Any, int, tuple[int, ...] | None]:
    """What torch is told of ``hidden_size``: it, the number of layers; and the sizes, where it was a list of them.

    Raises:
        InputError: it is a list of another length than ``num_layers``.
    """
    if not isinstance(hidden_size, list | tuple):
        return hidden_size, num_layers, None
    sizes = tuple(hidden_size)
    if not sizes or num_layers not in (1, len(sizes)):
        raise InputError(f"hidden_size: expected one size for each of num_layers = {num_layers}, got {list(sizes)}.")
    for size in sizes:
        check_sizes(hidden_size=size)
    return sizes[0], len(sizes), sizes


def _is_for_torch(given: Any) -> bool:
    """Whether torch's own operation is what is wanted: on another device, while somebody traces, in float16."""
    data = given.data if isinstance(given, PackedSequence) else given
    if not isinstance(data, Tensor) or data.device.type != "cpu" or data.dtype == torch.float16:
        return True
    if data.layout is not torch.strided:
        return True
    return is_tracing() or _autocast_dtype() == torch.float16


def _dtype_of(given: Any) -> torch.dtype:
    """Of an input or a state."""
    first = given.data if isinstance(given, PackedSequence) else given[0] if isinstance(given, tuple | list) else given
    dtype: torch.dtype = first.dtype
    return dtype


def _autocast_dtype() -> torch.dtype | None:
    """The dtype in which autocast wants this to be computed."""
    is_on = torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled("cpu")
    return torch.get_autocast_dtype("cpu") if is_on else None
