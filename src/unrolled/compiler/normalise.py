"""From the tracer's aten operations to the few that the compiler knows (compiler/operations.py).

What is not in the table below stays an aten operation: torch can run it before or after the loop and in an
interpreted plan, but no kernel can.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from .graph import Builder, Ref

Args = tuple[Any, ...]


class Normaliser:
    """Translates one traced graph, node by node; ``ids`` says what became of each of its nodes."""

    def __init__(self, module: fx.GraphModule, builder: Builder, where: dict[int, str]):
        self.module, self.builder, self.lines = module, builder, where
        self.ids: dict[fx.Node, Any] = {}  # the number of our node, or a list of them

    def run(self, node: fx.Node) -> None:
        """Translate one node."""
        here = _Site(self, node)
        if node.op == "get_attr":
            self.ids[node] = _constant(here, getattr(self.module, str(node.target)))
        elif node.target is operator.getitem:
            self.ids[node] = _getitem(here, node)
        else:
            self.ids[node] = _translate(here, str(node.target)) if here.value is not None else ()

    def operand(self, value: Any) -> Any:
        """An argument of a traced node as one of ours."""
        if isinstance(value, fx.Node):
            known = self.ids[value]
            return Ref(known) if isinstance(known, int) else known
        if isinstance(value, (list, tuple)):
            return tuple(self.operand(item) for item in value)
        return value


class _Site:
    """One traced node being translated: its operands, its result, and how to add operations."""

    def __init__(self, owner: Normaliser, node: fx.Node):
        self.owner, self.builder, self.node = owner, owner.builder, node
        self.args: Args = tuple(owner.operand(arg) for arg in node.args)
        self.kwargs = {name: owner.operand(value) for name, value in node.kwargs.items()}
        self.value: Any = node.meta.get("val")
        self.where = owner.lines.get(node.meta.get("seq_nr", -1), "")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.value.dtype  # type: ignore[no-any-return]

    def shape_of(self, ref: Any) -> tuple[int, ...]:
        return self.builder.nodes[ref.index].shape if isinstance(ref, Ref) else ()

    def dtype_of(self, ref: Ref) -> torch.dtype:
        return self.builder.nodes[ref.index].dtype

    def add(self, op: str, *args: Any, shape: Any = None, dtype: torch.dtype | None = None) -> Ref:
        shape = self.shape if shape is None else shape
        return Ref(self.builder.add(op, args, shape, dtype or self.dtype, self.where))

    def reshape(self, a: Ref, shape: tuple[int, ...]) -> Ref:
        while self.builder.nodes[a.index].op == "reshape":
            a = self.builder.nodes[a.index].args[0]
        return a if self.shape_of(a) == shape else self.add("reshape", a, shape=shape, dtype=self.dtype_of(a))

    def permute(self, a: Ref, axes: tuple[int, ...]) -> Ref:
        axes = tuple(axis % len(axes) for axis in axes)
        source = self.builder.nodes[a.index]
        if source.op == "permute":
            a, axes = source.args[0], tuple(source.args[1][axis] for axis in axes)
        if axes == tuple(range(len(axes))):
            return a
        shape = self.shape_of(a)
        if [axis for axis in axes if shape[axis] != 1] == [axis for axis in range(len(axes)) if shape[axis] != 1]:
            return self.reshape(a, tuple(shape[axis] for axis in axes))
        return self.add("permute", a, axes, shape=[shape[axis] for axis in axes], dtype=self.dtype_of(a))

    def slice(self, a: Ref, axis: int, start: int, stop: int, step: int = 1) -> Ref:
        shape = list(self.shape_of(a))
        axis %= len(shape)
        size = shape[axis]
        start, stop, step = slice(start, stop, step).indices(size)
        if (start, stop, step) == (0, size, 1):
            return a
        shape[axis] = len(range(start, stop, step))
        source = self.builder.nodes[a.index]
        if source.op == "full":
            return self.add("full", source.args[0], shape=shape, dtype=source.dtype)
        if source.op == "cat" and source.args[1] == axis and step == 1:
            first = 0
            for part in source.args[0]:
                last = first + self.shape_of(part)[axis]
                if first <= start and stop <= last:
                    return self.slice(part, axis, start - first, stop - first)
                first = last
        return self.add("slice", a, axis, start, stop, step, shape=shape, dtype=self.dtype_of(a))

    def cast(self, a: Any, dtype: torch.dtype) -> Any:
        if not isinstance(a, Ref) or self.dtype_of(a) == dtype:
            return a
        return self.add("cast", a, dtype, shape=self.shape_of(a), dtype=dtype)


def _getitem(here: _Site, node: fx.Node) -> Any:
    parts, index = here.args
    if isinstance(parts, tuple):
        known = parts[index]
        return known.index if isinstance(known, Ref) else known
    return here.add("getitem", parts, index).index  # a part of an operation that stays aten's


def _translate(here: _Site, target: str) -> Any:
    handler = HANDLERS.get(target.removeprefix("aten."))
    result = handler(here) if handler else None
    if result is None:
        if isinstance(here.value, (list, tuple)):
            first = next(v for v in here.value if isinstance(v, Tensor))
            return here.add(target, *_kept(here), shape=(), dtype=first.dtype).index
        return here.add(target, *_kept(here)).index
    if isinstance(result, list):
        return tuple(result)
    return result.index


def _kept(here: _Site) -> Args:
    """All arguments of an operation that stays aten's; keywords as a last (name, value) list."""
    return (*here.args, ("kwargs", *sorted(here.kwargs.items()))) if here.kwargs else here.args


def _constant(here: _Site, value: Any) -> int:
    value = getattr(value, "constant", None) if getattr(value, "constant", None) is not None else value
    flat = tuple(value.detach().reshape(-1).tolist())
    if len(flat) == 1:
        return here.builder.add("full", (flat[0],), value.shape, value.dtype)
    return here.builder.add("constant", flat, value.shape, value.dtype)


HANDLERS: dict[str, Callable[[_Site], Any]] = {}


def _register(*targets: str) -> Callable[[Callable[[_Site], Any]], Callable[[_Site], Any]]:
    def keep(handler: Callable[[_Site], Any]) -> Callable[[_Site], Any]:
        HANDLERS.update(dict.fromkeys(targets, handler))
        return handler

    return keep


def _plain(op: str, *targets: str) -> None:
    """An operation on elements whose arguments are its operands, in order."""
    HANDLERS.update(dict.fromkeys(targets, lambda here: here.add(op, *here.args) if not here.kwargs else None))


for _op in [
    "neg",
    "reciprocal",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "sqrt",
    "rsqrt",
    "abs",
    "sign",
    "floor",
    "ceil",
    "trunc",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "erf",
    "tanh",
    "sigmoid",
    "relu",
    "square",
]:
    _plain(_op, f"{_op}.default")
_plain("sign", "sgn.default")
_plain("round", "round.default")
for _op in ["maximum", "minimum", "atan2"]:
    _plain(_op, f"{_op}.default")
for _op in ["eq", "ne", "lt", "le", "gt", "ge", "remainder", "fmod"]:
    _plain(_op, f"{_op}.Tensor", f"{_op}.Scalar", f"{_op}.Scalar_Tensor")
for _op in ["and", "or", "xor", "not"]:
    _plain(_op, f"logical_{_op}.default")
    for _overload in ("Tensor", "Scalar", "default"):
        HANDLERS[f"bitwise_{_op}.{_overload}"] = lambda here, op=_op: here.add(  # type: ignore[misc]
            op if here.dtype == torch.bool else f"bit_{op}", *here.args
        )
_plain("mul", "mul.Tensor", "mul.Scalar")
_plain("mm", "mm.default")


@_register("where.self", "where.ScalarSelf", "where.ScalarOther", "where.Scalar")
def _where(here: _Site) -> Ref:
    flags, a, b = here.args
    return here.add("where", flags, here.cast(a, here.dtype), here.cast(b, here.dtype))


@_register("add.Tensor", "add.Scalar", "sub.Tensor", "sub.Scalar", "rsub.Tensor", "rsub.Scalar")
def _add(here: _Site) -> Ref:
    a, b, *rest = here.args
    alpha = here.kwargs.get("alpha", rest[0] if rest else 1)
    name = str(here.node.target)
    if "rsub" in name:
        a, b = b, a
    if alpha != 1:
        if not isinstance(b, Ref):
            b = b * alpha
        elif "rsub" in name:
            a = here.add("mul", a, alpha, shape=here.shape_of(a)) if isinstance(a, Ref) else a
        else:
            b = here.add("mul", b, alpha, shape=here.shape_of(b))
    if "rsub" in name and alpha != 1:  # other - alpha * self
        a, b = here.args[1], here.add("mul", here.args[0], alpha, shape=here.shape_of(here.args[0]))
    return here.add("add" if "add" in name else "sub", a, b)


@_register("div.Tensor", "div.Scalar", "div.Tensor_mode", "div.Scalar_mode", "floor_divide.default")
def _div(here: _Site) -> Ref | None:
    mode = here.kwargs.get("rounding_mode")
    if "floor_divide" in str(here.node.target):
        mode = "floor"
    return here.add("div" if mode is None else f"div_{mode}", *here.args[:2])


@_register("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar")
def _pow(here: _Site) -> Ref:
    a, b = here.args
    floating = isinstance(a, Ref) and here.dtype_of(a).is_floating_point
    if isinstance(b, (int, float)) and floating:
        a = here.cast(a, here.dtype)
        if b == 1:
            return Ref(a.index)
        if b == 3:
            return here.add("mul", here.add("mul", a, a), a)
        simple = {2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}.get(b)
        if simple:
            return here.add(simple, a)
    return here.add("pow", a, b)


@_register("clamp.default", "clamp.Tensor", "clamp_min.default", "clamp_max.default", "clamp_min.Tensor")
def _clamp(here: _Site) -> Ref:
    name = str(here.node.target)
    a, *bounds = here.args
    low, high = (
        [*bounds, here.kwargs.get("min"), here.kwargs.get("max")][:2]
        if bounds
        else (
            here.kwargs.get("min"),
            here.kwargs.get("max"),
        )
    )
    if "clamp_max" in name:
        low, high = None, bounds[0]
    elif "clamp_min" in name:
        low, high = bounds[0], None
    elif len(bounds) == 1:
        high = here.kwargs.get("max")
    a = here.cast(a, here.dtype)
    if low is not None:
        a = here.add("maximum", a, low)
    return a if high is None else here.add("minimum", a, high)


@_register("_to_copy.default", "to.dtype", "convert_element_type.default", "prims.convert_element_type.default")
def _to_copy(here: _Site) -> Any:
    return here.cast(here.args[0], here.dtype)


@_register("clone.default", "alias.default", "detach.default", "lift_fresh_copy.default", "contiguous.default")
def _same(here: _Site) -> Any:
    return here.args[0]


@_register("view.default", "_unsafe_view.default", "reshape.default", "unsqueeze.default", "squeeze.default")
def _reshape(here: _Site) -> Ref:
    return here.reshape(here.args[0], here.shape)


for _op in ("squeeze.dim", "squeeze.dims", "flatten.using_ints", "unflatten.int", "view_copy.default"):
    HANDLERS[_op] = _reshape


@_register("permute.default")
def _permute(here: _Site) -> Ref:
    return here.permute(here.args[0], here.args[1])


@_register("t.default")
def _t(here: _Site) -> Ref:
    return here.permute(here.args[0], tuple(reversed(range(len(here.shape)))))


@_register("transpose.int")
def _transpose(here: _Site) -> Ref:
    axes = list(range(len(here.shape)))
    first, second = here.args[1:]
    axes[first], axes[second] = axes[second], axes[first]
    return here.permute(here.args[0], tuple(axes))


@_register("expand.default")
def _expand(here: _Site) -> Ref:
    a = here.args[0]
    return a if here.shape_of(a) == here.shape else here.add("expand", a)


@_register("slice.Tensor")
def _slice(here: _Site) -> Ref:
    a, axis, start, stop, step = _padded(here.args, 0, 0, None, None, 1)
    return here.slice(a, axis, start, stop, step)


@_register("select.int")
def _select(here: _Site) -> Ref:
    a, axis, index = here.args
    index %= here.shape_of(a)[axis]
    return here.reshape(here.slice(a, axis, index, index + 1), here.shape)


@_register("flip.default")
def _flip(here: _Site) -> Ref:
    return here.add("flip", here.args[0], tuple(axis % len(here.shape) for axis in here.args[1]))


@_register("split_with_sizes.default", "split.Tensor", "unbind.int", "chunk.default")
def _split(here: _Site) -> list[Ref]:
    a = here.args[0]
    axis = here.args[2] if "split" in str(here.node.target) and len(here.args) > 2 else 0
    if "unbind" in str(here.node.target):
        axis = here.args[1] if len(here.args) > 1 else 0
    axis = here.kwargs.get("dim", axis)
    assert isinstance(axis, int)
    axis %= len(here.shape_of(a))
    parts, start = [], 0
    for part in here.value:
        width = 1 if "unbind" in str(here.node.target) else part.shape[axis]
        parts.append(here.reshape(here.slice(a, axis, start, start + width), tuple(part.shape)))
        start += width
    return parts


@_register("cat.default")
def _cat(here: _Site) -> Ref:
    parts, axis = (*here.args, 0)[:2]
    parts = tuple(here.cast(part, here.dtype) for part in parts if 0 not in here.shape_of(part))
    return parts[0] if len(parts) == 1 else here.add("cat", parts, axis % len(here.shape))


@_register("stack.default")
def _stack(here: _Site) -> Ref:
    parts, axis = (*here.args, 0)[:2]
    axis %= len(here.shape)
    one = (*here.shape[:axis], 1, *here.shape[axis + 1 :])
    return here.add("cat", tuple(here.reshape(part, one) for part in parts), axis)


@_register("copy.default")
def _copy(here: _Site) -> Any:
    source = here.cast(here.args[1], here.dtype)
    return source if here.shape_of(source) == here.shape else here.add("expand", source)


def _zeros(here: _Site, shape: tuple[int, ...]) -> Ref:
    return here.add("full", 0, shape=shape)


@_register("slice_backward.default", "slice_scatter.default")
def _slice_scatter(here: _Site) -> Ref | None:
    """What lies around a slice (zeros in the derivative) and the slice itself, side by side."""
    if "backward" in str(here.node.target):
        source, _, axis, start, stop, step = here.args
        around = None
    else:
        around, source, axis, start, stop, step = _padded(here.args, 0, 0, 0, None, None, 1)
    axis %= len(here.shape)
    start, stop, step = slice(start, stop, step).indices(here.shape[axis])
    return _place(here, source, around, axis, start, stop) if step == 1 else None


@_register("select_backward.default", "select_scatter.default")
def _select_scatter(here: _Site) -> Ref:
    if "backward" in str(here.node.target):
        source, _, axis, index = here.args
        around = None
    else:
        around, source, axis, index = here.args
    axis %= len(here.shape)
    index %= here.shape[axis]
    one = (*here.shape[:axis], 1, *here.shape[axis + 1 :])
    return _place(here, here.reshape(source, one), around, axis, index, index + 1)


def _place(here: _Site, source: Ref, around: Ref | None, axis: int, start: int, stop: int) -> Ref:
    def piece(first: int, last: int) -> Ref:
        shape = (*here.shape[:axis], last - first, *here.shape[axis + 1 :])
        return _zeros(here, shape) if around is None else here.slice(around, axis, first, last)

    before = [piece(0, start)] if start else []
    behind = [piece(stop, here.shape[axis])] if stop < here.shape[axis] else []
    parts = (*before, source, *behind)
    return source if len(parts) == 1 else here.add("cat", parts, axis)


@_register("constant_pad_nd.default")
def _pad(here: _Site) -> Ref | None:
    a, pads, *rest = here.args
    value = rest[0] if rest else here.kwargs.get("value", 0)
    if any(pad < 0 for pad in pads):
        return None
    for back, (low, high) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        shape = list(here.shape_of(a))
        axis = len(shape) - 1 - back
        parts = [a]
        for side, width in ((0, low), (1, high)):
            if width:
                block = here.add("full", value, shape=[*shape[:axis], width, *shape[axis + 1 :]])
                parts.insert(0 if side == 0 else len(parts), block)
        if len(parts) > 1:
            shape[axis] += low + high
            a = here.add("cat", tuple(parts), axis, shape=shape)
    return Ref(a.index)


@_register(
    "full.default", "full_like.default", "zeros.default", "ones.default", "zeros_like.default", "ones_like.default",
    "new_zeros.default", "new_ones.default", "new_full.default", "scalar_tensor.default", "empty.memory_format",
    "empty_like.default", "new_empty.default", "empty_strided.default", "new_empty_strided.default",
)  # fmt: skip
def _full(here: _Site) -> Ref:
    name = str(here.node.target)
    if "scalar_tensor" in name:
        value = here.args[0]
    elif "new_full" in name:
        value = here.args[2]
    elif "full" in name:
        value = here.args[1]
    else:
        value = 1 if "ones" in name else 0
    if isinstance(value, (int, float)):
        value = bool(value) if here.dtype == torch.bool else value
    return here.add("full", value)


@_register("arange.start_step", "arange.default", "arange.start", "iota.default")
def _arange(here: _Site) -> Ref | None:
    name = str(here.node.target)
    start, step = 0, 1
    if "start" in name:
        start = here.args[0]
        step = here.args[2] if len(here.args) > 2 else 1
    iota = here.add("iota", dtype=torch.int64)
    value: Ref = here.cast(iota, here.dtype)
    if step != 1:
        value = here.add("mul", value, step)
    return value if start == 0 else here.add("add", value, start)


def _padded(args: Args, *defaults: Any) -> Args:
    """Arguments, those that were left out at their defaults."""
    return (*args, *defaults[len(args) :])


def _axes(here: _Site, dims: Any) -> tuple[int, ...]:
    rank = len(here.shape_of(here.args[0]))
    if dims is None or dims == ():
        return tuple(range(rank))
    return tuple(sorted(dim % rank for dim in (dims if isinstance(dims, tuple) else (dims,)))) if rank else ()


@_register("sum.dim_IntList", "sum.default", "prod.dim_int", "amax.default", "amin.default")
def _reduce(here: _Site) -> Ref | None:
    a, dims, keep = _padded(here.args, None, None, False)[:3]
    keep = here.kwargs.get("keepdim", keep)
    name = str(here.node.target).split(".")[1]
    axes = _axes(here, dims)
    return _reduced(here, name, here.cast(a, here.dtype), axes, bool(keep))


@_register("argmax.default", "argmin.default")
def _argmax(here: _Site) -> Ref | None:
    a, dim, keep = _padded(here.args, None, None, False)[:3]
    name = str(here.node.target).split(".")[1]
    return None if dim is None else _reduced(here, name, a, _axes(here, dim), bool(keep))


@_register("max.dim", "min.dim")
def _max_dim(here: _Site) -> list[Ref]:
    a, dim = here.args[:2]
    name = str(here.node.target).split(".")[1][:3]
    values, indices = (tuple(part.shape) for part in here.value)
    axes = _axes(here, dim)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(here.shape_of(a)))
    best = here.add(f"a{name}", a, axes, shape=kept, dtype=here.dtype_of(a))
    place = here.add(f"arg{name}", a, axes, shape=kept, dtype=torch.int64)
    return [here.reshape(best, values), here.reshape(place, indices)]


def _reduced(here: _Site, name: str, a: Ref, axes: tuple[int, ...], keep: bool) -> Ref:
    shape = here.shape_of(a)
    if not axes or (math.prod(shape[axis] for axis in axes) == 1 and not name.startswith("arg")):
        return here.reshape(a, here.shape)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return here.reshape(here.add(name, a, axes, shape=kept), here.shape)


@_register("scatter.src", "scatter.value")
def _scatter(here: _Site) -> Ref | None:
    """One element along an axis: where the index says so."""
    a, axis, index, source = here.args
    axis %= max(len(here.shape), 1)
    if not here.shape or here.shape_of(index)[axis] != 1:
        return None
    along = tuple(size if d == axis else 1 for d, size in enumerate(here.shape))
    counter = here.add("iota", shape=(here.shape[axis],), dtype=torch.int64)
    here_it_is = here.add("eq", here.reshape(counter, along), index, dtype=torch.bool)
    return here.add("where", here_it_is, here.cast(source, here.dtype), a)


@_register("bmm.default")
def _bmm(here: _Site) -> Ref:
    a, b = here.args
    if here.shape[0] != 1:
        return here.add("bmm", a, b)
    product = here.add("mm", here.reshape(a, here.shape_of(a)[1:]), here.reshape(b, here.shape_of(b)[1:]),
                       shape=here.shape[1:])  # fmt: skip
    return here.reshape(product, here.shape)


@_register("addmm.default", "baddbmm.default")
def _addmm(here: _Site) -> Ref:
    bias, a, b = here.args[:3]
    product = here.add("mm" if len(here.shape) == 2 else "bmm", a, b)
    for factor, which in ((here.kwargs.get("alpha", 1), "p"), (here.kwargs.get("beta", 1), "b")):
        if factor != 1 and which == "p":
            product = here.add("mul", product, factor)
        elif factor != 1:
            bias = here.add("mul", bias, factor, shape=here.shape_of(bias))
    return here.add("add", bias, product)


@_register("mv.default")
def _mv(here: _Site) -> Ref:
    a, b = here.args
    product = here.add("mm", a, here.reshape(b, (*here.shape_of(b), 1)), shape=(*here.shape, 1))
    return here.reshape(product, here.shape)


@_register("rand.default", "rand_like.default", "randn.default", "randn_like.default")
def _random(here: _Site) -> Ref:
    return here.add("randn" if "randn" in str(here.node.target) else "rand")


@_register("bernoulli.p")
def _bernoulli(here: _Site) -> Ref:
    drawn = here.add("rand", dtype=here.dtype if here.dtype.is_floating_point else torch.float32)
    flags = here.add("lt", drawn, here.args[1], dtype=torch.bool)
    return Ref(here.cast(flags, here.dtype).index)


@_register("isnan.default")
def _isnan(here: _Site) -> Ref:
    return here.add("ne", here.args[0], here.args[0])


@_register("isinf.default")
def _isinf(here: _Site) -> Ref:
    a = here.args[0]
    size = here.add("abs", a, dtype=here.dtype_of(a))
    return here.add("eq", size, math.inf)
