"""Steps that ask much of the compiler, and the comparison of a backend with the reference."""

import torch
from torch import nn
from torch.nn import functional as F

from unrolled.core import Cell, leaves, run_reference, settle, unflatten


class Spike(torch.autograd.Function):
    """A step function with a surrogate derivative."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad / (1 + v.abs()) ** 2


class Odd(Cell):
    """In-place operations, a custom derivative, layer norm, cat into one product, detach, max over features."""

    def __init__(self):
        super().__init__()
        self.input_size, self.hidden_size = 3, 4
        self.w = nn.Parameter(torch.randn(7, 4))
        self.u = nn.Parameter(torch.randn(4, 4))
        self.tau = nn.Parameter(torch.randn(4))
        self.norm = nn.LayerNorm(4)

    def step(self, x, h):
        a = F.gelu(self.norm(torch.cat([x, h], -1) @ self.w))
        h = torch.einsum("bi,ij->bj", h, self.u).softmax(-1) + Spike.apply(a) * F.softplus(self.tau)
        h = h.clone()
        h[:, 1:3] += 1
        h[:, 0] = 2
        with torch.no_grad():
            scale = h.mean(-1, keepdim=True)
        return h.max(-1)[0], h * x.mean(-1, keepdim=True).detach() * scale


class Memory(Cell):
    """A matrix memory, written by an outer product, read by an address; states of two ranks."""

    def __init__(self):
        super().__init__()
        self.input_size, self.state_size = 3, (torch.Size([4, 5]), 5)
        self.key, self.value, self.query = nn.Linear(3, 4), nn.Linear(3, 5), nn.Linear(8, 4)

    def step(self, x, state):
        memory, read = state
        address = self.query(torch.cat([x, read], -1)).softmax(-1)
        memory = 0.9 * memory + torch.einsum("bi,bj->bij", torch.tanh(self.key(x)), self.value(x))
        memory = memory - 0.1 * (memory @ read[:, :, None]) @ read[:, None]
        read = torch.tanh((address[:, None] @ memory).squeeze(1))
        return torch.logsumexp(memory, (1, 2)), (memory, read)


class Heads(Cell):
    """A block-diagonal recurrent product, gates by chunk, exponential gating clamped."""

    def __init__(self):
        super().__init__()
        self.input_size, self.state_size = 3, (6, 6)
        self.r = nn.Parameter(torch.randn(2, 3, 12) * 0.3)
        self.w = nn.Linear(3, 24)

    def step(self, x, state):
        h, c = state
        z = self.w(x).view(-1, 2, 12) + torch.einsum("bhd,hde->bhe", h.view(-1, 2, 3), self.r)
        i, f, g, o = z.chunk(4, -1)
        c = f.sigmoid() * c.view(-1, 2, 3) + i.exp().clamp(max=3) * g.tanh()
        h = o.sigmoid() * c / (1 + c.abs())
        return h.flatten(1), (h.flatten(1), c.flatten(1))


class Solver(Cell):
    """A learned start, an inner loop, two outputs of different ranks."""

    def __init__(self):
        super().__init__()
        self.input_size, self.hidden_size = 3, 5
        self.start = nn.Parameter(torch.randn(5))
        self.inner = nn.Linear(8, 5)

    def initial_state(self, batch_size, **kwargs):
        return self.start.expand(batch_size, 5)

    def step(self, x, h):
        for _ in range(3):
            h = h + 0.1 * torch.tanh(self.inner(torch.cat([x, h], 1)))
        return (h[:, :2], (h * h).mean(-1)), h


def run_with_gradients(run, cell, steps, rows, dtype, seed=0, masked=False, resets=False, rounded=False, **options):
    """Outputs, last states and every gradient of a random weighting of them, by ``run(step, unrolling)``.

    ``rounded``: the numbers drawn are those of bfloat16, whatever the dtype.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return (drawn.bfloat16() if rounded else drawn).to(dtype)

    x = draw(steps, rows, cell.input_size).requires_grad_()
    start = cell.initial_state(rows)
    first = [(0.5 * draw(*leaf.shape)).requires_grad_() for leaf in leaves(start)]
    if masked:
        options["lengths"] = torch.arange(rows) % (steps + 1)
    if resets:
        options["reset"] = torch.rand(steps, rows, generator=generator) < 0.3
        options["reset_state"] = start
    outputs, last = run(cell.step, settle(x, unflatten(start, first), **options))
    results = [*leaves(outputs), *leaves(last)]
    loss = sum((result * draw(*result.shape)).sum() for result in results)
    return results, torch.autograd.grad(loss, [x, *first, *cell.parameters()], allow_unused=True)


def reference(cell, *args, **options):
    """The same by the reference."""
    return run_with_gradients(run_reference, cell, *args, **options)


def largest_error(found, truth):
    """The largest difference of results and gradients, relative to the size of each tensor's largest element."""
    worst = 0.0
    for a, b in zip([*found[0], *found[1]], [*truth[0], *truth[1]], strict=True):
        if a is None or b is None:
            nothing = b if a is None else a
            assert nothing is None or not nothing.any(), "a gradient is missing"
            continue
        assert a.shape == b.shape
        assert torch.isfinite(a).all()
        a, b = a.detach().double(), b.detach().double()
        if a.numel():
            worst = max(worst, float((a - b).abs().max() / (1 + b.abs().max())))
    return worst
