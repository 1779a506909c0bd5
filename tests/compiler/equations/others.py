"""Writes into a tensor, an inner loop, tensors that the step makes or closes over, and the rarer pieces."""

from .draw import Draw, Write, entering, long_axis, some_axis
from .products import weight

OPERATIONS: dict[str, Write] = {}
operation = entering(OPERATIONS)


@operation("assignment to a slice")
def _assignment(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    copy = draw.put(f"{a.name}.clone()", a.shape, a.bound + 1, generic=False)
    draw.lines.append(draw.choose(
        f"{copy.name}[..., 1:] += 0.5", f"{copy.name}[..., 0] = 0.3", f"{copy.name}[..., 1:3] *= 0.8",
        f"{copy.name}[..., :2] = torch.sin({a.name}[..., 1:3])",
    ))  # fmt: skip


@operation("in-place operation")
def _in_place(draw: Draw) -> None:
    a = draw.pick()
    copy = draw.put(f"{a.name}.clone()", a.shape, a.bound)
    draw.lines.append(f"{copy.name}.mul_(0.7).sin_()")


@operation("inner loop")
def _inner_loop(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    name, w = f"h{len(draw.lines)}", weight(draw, a.shape[0], a.shape[0])
    draw.lines += [f"{name} = {a.name}", "for _ in range(2):", f"    {name} = {name} + 0.3 * torch.tanh({name} @ {w})"]
    draw.put(f"{name} * 0.9", a.shape, a.bound + 0.6)


@operation("scalar parameter")
def _scalar(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"{draw.parameter(())} * {a.name} + {draw.parameter((1,))}", a.shape, a.bound + 1)


@operation("closed-over tensor")
def _closed(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"{a.name} * torch.exp({draw.parameter(a.shape, letter='c')})", a.shape, 2 * a.bound)


@operation("detach")
def _detach(draw: Draw) -> None:
    a = draw.pick()
    draw.put(f"torch.sin({a.name}).detach() * {a.name}", a.shape, a.bound)


@operation("arange")
def _arange(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name} * torch.arange({a.shape[-1]}, dtype={a.name}.dtype) * 0.2", a.shape, a.bound, generic=False)


@operation("new_zeros")
def _new_zeros(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    text = f"torch.cat([{a.name}, {a.name}.new_zeros({a.name}.shape[0], 2)], 1)"
    draw.put(text, (a.shape[0] + 2,), a.bound, generic=False)


@operation("slice with a step")
def _slice_step(draw: Draw) -> None:
    a = draw.pick(some_axis)
    rest = ":, " * draw.rng.randrange(2) if len(a.shape) > 1 else ""
    axis = 1 if rest else 0
    shape = tuple(-(-n // 2) if k == axis else n for k, n in enumerate(a.shape))
    draw.put(f"{a.name}[:, {rest}::2]", shape, a.bound)


@operation("constant tensor")
def _constant(draw: Draw) -> None:
    a = draw.pick(long_axis)
    numbers = ", ".join(f"{draw.rng.uniform(-1, 1):.2f}" for _ in range(a.shape[-1]))
    draw.put(f"{a.name} * torch.tensor([{numbers}], dtype={a.name}.dtype)", a.shape, a.bound)


@operation("repeat")
def _repeat(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    draw.put(f"{a.name}.repeat(1, 2)", (2 * a.shape[0],), a.bound, generic=False)


@operation("diagonal")
def _diagonal(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    draw.put(f"{a.name}.diagonal(dim1=1, dim2=2)", (min(a.shape),), a.bound)
