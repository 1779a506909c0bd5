"""Operations that move elements: views, pieces, and several tensors as one."""

import torch

from .draw import Draw, Write, entering, size_of, some_axis

OPERATIONS: dict[str, Write] = {}
operation = entering(OPERATIONS)


@operation("view")
def _view(draw: Draw) -> None:
    a = draw.pick(len)
    n = size_of(a.shape)
    cuts = [k for k in (2, 3, 4) if n % k == 0 and n > k]
    k = draw.rng.choice(cuts) if cuts else 1
    how = draw.choose("reshape", "contiguous().view")
    draw.put(f"{a.name}.{how}(-1, {n // k}, {k})", (n // k, k), a.bound)


@operation("flatten")
def _flatten(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) > 1)
    draw.put(f"{a.name}.flatten(1)", (size_of(a.shape),), a.bound)


@operation("permute")
def _permute(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) > 1)
    order = list(range(len(a.shape)))
    while order == sorted(order):
        draw.rng.shuffle(order)
    text = f"{a.name}.permute(0, {', '.join(str(k + 1) for k in order)})"
    if len(order) == 2:
        text = draw.choose(text, f"{a.name}.transpose(1, 2)", f"{a.name}.mT")
    draw.put(text, tuple(a.shape[k] for k in order), a.bound)


@operation("permute and flatten")
def _permute_flatten(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    draw.put(f"{a.name}.transpose(1, 2).reshape(-1, {size_of(a.shape)})", (size_of(a.shape),), a.bound)


@operation("chunk")
def _chunk(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 1)
    sizes = [len(part) for part in torch.arange(a.shape[-1]).chunk(2)]
    draw.lines.append(f"left{len(draw.lines)}, right{len(draw.lines)} = {a.name}.chunk(2, -1)")
    number = len(draw.lines) - 1
    draw.put(f"torch.tanh(left{number})", (*a.shape[:-1], sizes[0]), 1)
    draw.put(f"right{number} * 0.9", (*a.shape[:-1], sizes[1]), a.bound)


@operation("split")
def _split(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    n = a.shape[-1]
    draw.lines.append(f"first{len(draw.lines)}, rest{len(draw.lines)} = {a.name}.split([1, {n - 1}], dim=-1)")
    number = len(draw.lines) - 1
    draw.put(f"torch.sigmoid(first{number}) * rest{number}", (*a.shape[:-1], n - 1), a.bound)


@operation("slice")
def _slice(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    n = a.shape[-1]
    text, size = draw.rng.choice([("1:", n - 1), (":-1", n - 1), ("1:-1", n - 2), (f"{n - 2}:", 2)])
    draw.put(f"{a.name}[..., {text}]", (*a.shape[:-1], size), a.bound)


@operation("narrow")
def _narrow(draw: Draw) -> None:
    a = draw.pick(lambda shape: shape and shape[-1] > 2)
    draw.put(f"{a.name}.narrow(-1, 1, 2)", (*a.shape[:-1], 2), a.bound)


@operation("select")
def _select(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis, text = draw.axis(a.shape)
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.put(f"{a.name}.select({text}, {draw.choose('0', '-1')})", shape, a.bound)


@operation("unbind")
def _unbind(draw: Draw) -> None:
    a = draw.pick(some_axis)
    axis, text = draw.axis(a.shape)
    shape = a.shape[:axis] + a.shape[axis + 1 :]
    draw.lines.append(f"parts{len(draw.lines)} = {a.name}.unbind({text})")
    number = len(draw.lines) - 1
    draw.put(f"parts{number}[0] * torch.tanh(parts{number}[1])", shape, a.bound)


@operation("cat")
def _cat(draw: Draw) -> None:
    a = draw.pick(len)
    b, bound = draw.other(a.shape)
    b = f"{a.name} * {b}" if draw.rng.random() < 0.5 else f"({b}) + torch.zeros_like({a.name})"
    axis, text = draw.axis(a.shape)
    shape = tuple(2 * n if k == axis else n for k, n in enumerate(a.shape))
    draw.put(f"torch.cat([{a.name}, {b}], {text})", shape, a.bound * max(bound, 1), generic=False)


@operation("stack")
def _stack(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) < 3)
    draw.put(f"torch.stack([{a.name}, torch.sin({a.name}), {a.name} * 0.5], {draw.choose('1', '-1')})", (), 0)
    text, last = draw.lines[-1], draw.pool.pop()
    draw.waiting.remove(last)
    shape = (*a.shape, 3) if text.endswith("-1)") else (3, *a.shape)
    draw.lines.pop()
    draw.put(text.split(" = ", 1)[1], shape, a.bound, generic=False)


@operation("expand")
def _expand(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) < 3)
    sizes = ", ".join(map(str, a.shape))
    draw.put(f"{a.name}.unsqueeze(1).expand(-1, 3, {sizes}) * {draw.parameter((3, *a.shape))}", (3, *a.shape), a.bound)


@operation("squeeze")
def _squeeze(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name}.sum(-1, keepdim=True).squeeze(-1)", a.shape[:-1], a.bound * a.shape[-1])


@operation("flip")
def _flip(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.flip({draw.axis(a.shape)[1]})", a.shape, a.bound, generic=False)


@operation("roll")
def _roll(draw: Draw) -> None:
    a = draw.pick(some_axis)
    draw.put(f"{a.name}.roll({draw.choose('1', '-1', '2')}, {draw.axis(a.shape)[1]})", a.shape, a.bound, generic=False)


@operation("pad")
def _pad(draw: Draw) -> None:
    a = draw.pick(len)
    shape = (*a.shape[:-1], a.shape[-1] + 3)
    draw.put(f"F.pad({a.name}, (1, 2), value=0.3)", shape, a.bound, generic=False)
