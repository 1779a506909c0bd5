"""Products: of the state with a weight, with itself, with the input."""

import math

from .draw import Draw, Write, entering, size_of

OPERATIONS: dict[str, Write] = {}
operation = entering(OPERATIONS)


def weight(draw: Draw, *shape: int) -> str:
    return draw.parameter(shape, 1.5 / math.sqrt(shape[-2] if len(shape) > 1 else 1))


@operation("linear")
def _linear(draw: Draw) -> None:
    a, n = draw.pick(len), draw.rng.choice([2, 3, 5, draw.size])
    w = draw.parameter((n, a.shape[-1]), 1.5 / math.sqrt(a.shape[-1]))
    bias = f", {draw.parameter((n,))}" if draw.rng.random() < 0.5 else ""
    draw.put(f"F.linear({a.name}, {w}{bias})", (*a.shape[:-1], n), 1.2 * a.bound)


@operation("matmul")
def _matmul(draw: Draw) -> None:
    a, n = draw.pick(len), draw.rng.choice([2, 3, draw.size])
    draw.put(f"{a.name} @ {weight(draw, a.shape[-1], n)}", (*a.shape[:-1], n), 1.2 * a.bound)


@operation("matmul from the left")
def _matmul_left(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) == 2), draw.rng.choice([2, 5])
    draw.put(f"{draw.parameter((n, a.shape[0]))} @ {a.name}", (n, a.shape[1]), 1.2 * a.bound)


@operation("vector weight")
def _vector_weight(draw: Draw) -> None:
    a = draw.pick(len)
    draw.put(f"{a.name} @ {draw.parameter(a.shape[-1:])}", a.shape[:-1], 1.2 * a.bound)


@operation("einsum")
def _einsum(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) in (1, 2)), draw.rng.choice([2, 4, draw.size])
    if len(a.shape) == 1:
        draw.put(f"torch.einsum('bi,ij->bj', {a.name}, {weight(draw, a.shape[0], n)})", (n,), 1.2 * a.bound)
        return
    m, k = a.shape
    rule, w, shape = draw.rng.choice([
        ("bmi,ij->bmj", (k, n), (m, n)), ("bmi,mj->bij", (m, n), (k, n)), ("bmi,mij->bj", (m, k, n), (n,)),
        ("bmi,im->bm", (k, m), (m,)), ("bmi,mij->bmj", (m, k, n), (m, n)), ("bmi,ji->bjm", (n, k), (n, m)),
    ])  # fmt: skip
    draw.put(f"torch.einsum('{rule}', {a.name}, {weight(draw, *w)})", shape, 1.5 * a.bound)


@operation("heads")
def _heads(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: shape and shape[-1] % 2 == 0), draw.rng.choice([2, 3])
    flat, d = f"{a.name}.reshape(-1, {size_of(a.shape) // a.shape[-1] * 2}, {a.shape[-1] // 2})", a.shape[-1] // 2
    h = size_of(a.shape) // d
    put = draw.put(f"torch.einsum('bhd,hde->bhe', {flat}, {weight(draw, h, d, n)})", (h, n), 1.2 * a.bound)
    if draw.rng.random() < 0.5:
        draw.put(f"{draw.read(put).name}.flatten(1)", (h * n,), put.bound)


@operation("cat into a linear")
def _cat_linear(draw: Draw) -> None:
    a, n = draw.pick(lambda shape: len(shape) == 1), draw.size
    b, _ = draw.other(a.shape)
    parts = f"x.flatten(1), {a.name}, ({b}) * torch.ones_like({a.name})"
    w = draw.parameter((n, draw.inputs + 2 * a.shape[0]), 0.7)
    draw.put(f"F.linear(torch.cat([{parts}], {draw.choose('1', '-1')}), {w})", (n,), 4 * a.bound)


@operation("outer product")
def _outer(draw: Draw) -> None:
    a, b = (draw.pick(lambda shape: len(shape) == 1) for _ in range(2))
    text = draw.choose(
        f"torch.einsum('bi,bj->bij', {a.name}, {b.name})",
        f"{a.name}[:, :, None] * {b.name}[:, None]",
        f"torch.bmm({a.name}.unsqueeze(2), {b.name}.unsqueeze(1))",
        f"{a.name}.unsqueeze(-1) @ {b.name}.unsqueeze(-2)",
    )
    draw.put(text, (a.shape[0], b.shape[0]), a.bound * b.bound)


@operation("outer product with the input")
def _outer_input(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 1)
    draw.put(f"torch.einsum('bi,bj->bji', {a.name}, x.flatten(1))", (draw.inputs, a.shape[0]), 1.5 * a.bound)


@operation("memory times vector")
def _memory(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    v = draw.read(draw.put(draw.shaped(draw.pick(), a.shape[1:]), a.shape[1:], 2.0, generic=False))
    text = draw.choose(
        f"torch.einsum('bij,bj->bi', {a.name}, {v.name})",
        f"({a.name} @ {v.name}[:, :, None]).squeeze(2)",
        f"torch.bmm({v.name}[:, None], {a.name}.transpose(1, 2)).squeeze(1)",
        f"torch.bmm({a.name}, {v.name}.unsqueeze(-1))[:, :, 0]",
    )
    draw.put(text, a.shape[:1], a.bound * v.bound * a.shape[1] ** 0.5)


@operation("memory times input")
def _memory_input(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2)
    w = weight(draw, draw.inputs, a.shape[0])
    draw.put(f"torch.einsum('bi,bij->bj', x.flatten(1) @ {w}, {a.name})", a.shape[1:], 2 * a.bound)


@operation("addressing")
def _addressing(draw: Draw) -> None:
    a = draw.pick(lambda shape: len(shape) == 2 and shape[0] > 1)
    key = draw.shaped(draw.pick(), a.shape[1:])
    scores = f"torch.einsum('bij,bj->bi', {a.name}, {key}).softmax(-1)"
    draw.put(f"({scores}[:, None] @ {a.name}).squeeze(1)", a.shape[1:], a.bound)


@operation("matrix times matrix")
def _matrices(draw: Draw) -> None:
    a, b = (draw.pick(lambda shape: len(shape) == 2) for _ in range(2))
    middle = weight(draw, a.shape[1], b.shape[1])
    draw.put(f"{a.name} @ {middle} @ {b.name}.mT", (a.shape[0], b.shape[0]), 2 * a.bound * b.bound)
